#!/usr/bin/env bash
# Tokens/s and memory beside transformers, compiled transformers, litgpt and bare matrix products, interleaved in one run: S, M
peers=${BENCH_PEERS:-../shared/bench/bench_peers.py}
[ -e "$peers" ] || { echo "no $peers: name the peers' benchmark with BENCH_PEERS"; exit 1; }
. scripts/python_env.sh bench
bench="$LLAMA_TRAIN bench --set run.device=cpu --set model.dim={dim} --set model.n_layers={layers} --set model.n_heads={heads} \
--set model.n_kv_heads={kv_heads} --set model.vocab_size={vocab} --set model.ffn_hidden_dim={ffn} --set model.tie_embeddings=false \
--set train.seq_len={seq} --set train.micro_batch_size={batch} --steps {steps} --warmup {warmup} --json"
for model in S M; do
  "$BENCH_PYTHON" "$peers" --model $model --rounds 5 --steps 2 --threads 2 --budget-s 540 --only gemm,hf,hf_compile,litgpt \
    --external "llama-train=$bench" --out "$WORK/bench" 2>"$WORK/err.txt" || { tail -5 "$WORK/err.txt"; exit 1; }
done
python3 - "$WORK" <<'PYTHON'
import glob, json, sys

wanted = {"S": 1.25, "M": 1.20}
failed = False
for model, least in wanted.items():
    rows = json.load(open(glob.glob(f"{sys.argv[1]}/bench.{model}.*.json")[0]))["rows"]
    ours, others = rows["llama-train"], {name: row for name, row in rows.items() if name != "llama-train"}
    best = max(others.values(), key=lambda row: row["tok_s"])
    ahead, memory = ours["tok_s"] / best["tok_s"], ours["rss_mb"] / rows["hf"]["rss_mb"]
    print(f"{model}: {ours['ratio']:.2f}x transformers (at least {least}), {ahead:.2f}x the best of all (at least 1.10), "
          f"{ours['of_limit']:.2f} of the bare products (at least 0.90), memory {memory:.2f}x transformers'")
    failed |= ours["ratio"] < least or ahead < 1.10 or ours["of_limit"] < 0.90
    failed |= model == "M" and memory > 0.5
sys.exit(failed)
PYTHON
