#!/usr/bin/env bash
# Where the CPU time of a training step goes on models S and M, by what does it (needs perf, from Debian's linux-perf)
command -v perf >/dev/null || { echo "no perf: apt install linux-perf"; exit 1; }
profile() { # model, settings
  local name=$1
  shift
  OMP_NUM_THREADS=2 GOMP_SPINCOUNT=0 perf record -q -F 499 -o "$WORK/$name.data" -- "$LLAMA_TRAIN" bench --set model.tie_embeddings=false \
    "$@" --steps 12 --warmup 2 >/dev/null 2>&1
  perf report -i "$WORK/$name.data" --no-children --stdio -g none --sort dso,sym 2>/dev/null | python3 scripts/proofs/profile_table.py "$name"
}
profile S --set model.dim=288 --set model.n_layers=6 --set model.n_heads=6 --set model.vocab_size=4096 \
  --set model.ffn_hidden_dim=768 --set train.seq_len=256 --set train.micro_batch_size=8
profile M --set model.dim=512 --set model.n_layers=8 --set model.n_heads=8 --set model.n_kv_heads=4 --set model.vocab_size=32000 \
  --set model.ffn_hidden_dim=1408 --set train.seq_len=512 --set train.micro_batch_size=4
