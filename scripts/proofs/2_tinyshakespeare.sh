#!/usr/bin/env bash
# 200 steps on Tiny Shakespeare against transformers from our own step-0 folder, and our final folder opened by it
. scripts/python_env.sh reference
text=${TINYSHAKESPEARE:-../shared/data/tinyshakespeare.txt}
[ -e "$text" ] || { echo "$text is not here; name it with TINYSHAKESPEARE=FILE"; exit 1; }
text=$(readlink -f "$text")
trainer=$(readlink -f scripts/reference_trainer.py)
cd "$WORK"
"$LLAMA_TRAIN" pretrain \
  --set run.name=shakespeare --set run.device=cpu --set train.precision=fp32 \
  --set prepare.input="[\"$text\"]" --set prepare.vocab_size=2000 --set prepare.val_fraction=0 --set data.path=tokens \
  --set model.dim=192 --set model.n_layers=6 --set model.n_heads=6 --set model.n_kv_heads=3 --set model.ffn_hidden_dim=512 \
  --set train.max_steps=200 --set train.micro_batch_size=8 --set train.seq_len=128 --set train.total_batch_tokens=2048 \
  --set optim.max_lr=5e-4 --set optim.min_lr=5e-5 --set optim.warmup_steps=40 \
  --set data.shuffle=false --set checkpoint.initial=true 2>log.txt || { cat log.txt; exit 1; }
grep parameters log.txt
"$REFERENCE_PYTHON" "$trainer" runs/shakespeare 2>reference.txt || { tail -5 reference.txt; exit 1; }
