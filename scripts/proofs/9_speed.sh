#!/usr/bin/env bash
# 500 HellaSwag-like items on a 22M model, 2 threads: llama-train and lm-eval (hf) in turns; at least 3 times as fast
. scripts/python_env.sh lm_eval
scripts=$(readlink -f scripts)
cd "$WORK"
python3 "$scripts/proofs/eval_speed_items.py" text.txt items.jsonl
"$LLAMA_TRAIN" prep-data tokenizer --input text.txt --vocab-size 10000 --out trained 2>/dev/null
"$LLAMA_TRAIN" prep-data pretrain --input text.txt --tokenizer trained --out data >/dev/null 2>&1
"$LLAMA_TRAIN" pretrain --set data.path=data --set run.name=model --set train.max_steps=1 --set train.seq_len=512 \
  --set train.micro_batch_size=2 --set model.dim=384 --set model.n_layers=8 --set model.n_heads=6 --set model.ffn_hidden_dim=1024 \
  --set run.device=cpu >/dev/null 2>&1
"$LM_EVAL_PYTHON" "$scripts/proofs/eval_speed.py" items.jsonl runs/model/checkpoints/latest 2>err.txt || { tail -5 err.txt; exit 1; }
