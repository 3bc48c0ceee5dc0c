#!/usr/bin/env bash
# Checks the program on a machine with a GPU: the quickstart, the 20-step reference trace by itself and as one rank of
# NCCL under torchrun, a 124M benchmark.
#
#   scripts/gpu_check.sh pack     where it is built: writes target/gpu/llama-train, stripped, to be carried
#   scripts/gpu_check.sh check    where the GPU is: runs it with that machine's own torch 2.11.0
#
# CI has no GPU. DEVICE=cpu runs the first two checks on a CPU, to check this script.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=target/gpu/llama-train
device=${DEVICE:-cuda}

pack() {
  scripts/setup.sh
  mkdir -p "$(dirname "$binary")"
  strip -o "$binary" "${CARGO_TARGET_DIR:-target}/release/llama-train"
  ls -lh "$binary"
}

check() {
  LD_LIBRARY_PATH=$(python3 -c 'import torch, pathlib; assert torch.__version__.startswith("2.11.0"), torch.__version__; print(pathlib.Path(torch.__file__).parent / "lib")')
  export LD_LIBRARY_PATH
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  [ "$device" = cpu ] || nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
  quickstart
  "$binary" doctor
  trace fp32 1e-4 1e-3
  one_rank
  [ "$device" = cpu ] || trace bf16 2e-2 2e-1
  [ "$device" = cpu ] || "$binary" bench --config configs/pretrain/124m.toml --steps 10 --set run.device="$device"
  echo "all checks passed on $device"
}

quickstart() {
  "$binary" pretrain --config configs/quickstart.toml --set run.device="$device" --set run.dir="$work/runs" \
    --set data.path="$work/stdlib" 2>"$work/quickstart.log" || { tail -20 "$work/quickstart.log"; exit 1; }
  grep -E "^step [0-9]+/[0-9]+ val|^budget" "$work/quickstart.log"
}

# NCCL (Gloo on a CPU) with a single rank gives what no group gives.
one_rank() {
  cp -r "$work/runs/trace-fp32" "$work/alone"
  rm -r "$work/runs/trace-fp32"
  launcher="torchrun --no-python --standalone --nproc-per-node 1" trace fp32 1e-4 1e-3
  python3 - "$work/alone/metrics.jsonl" "$work/runs/trace-fp32/metrics.jsonl" <<'PYTHON'
import json, sys
alone, rank = ([(r["loss"], r["grad_norm"]) for r in map(json.loads, open(path)) if r["split"] == "train"] for path in sys.argv[1:])
worst = max(abs(a - b) / a for pair in zip(alone, rank) for a, b in zip(*pair))
print(f"one rank under torchrun against none, {len(rank)} steps: worst relative difference {worst:.1e}")
sys.exit(len(alone) != len(rank) or worst > 1e-6)
PYTHON
}

trace() { # precision, tolerance of the loss, tolerance of the gradient's norm (relative)
  ${launcher:-} "$binary" pretrain --init-from tests/fixtures/2_train_trace/init --set data.path=tests/fixtures/9_stream/data \
    --set run.device="$device" --set run.dir="$work/runs" --set run.name="trace-$1" --set train.precision="$1" \
    --set data.shuffle=false --set train.max_steps=20 --set train.seq_len=32 --set train.micro_batch_size=2 \
    --set train.total_batch_tokens=128 --set optim.max_lr=3e-3 --set optim.min_lr=3e-4 --set optim.warmup_steps=5 \
    2>"$work/trace.log" >&2 || { tail -20 "$work/trace.log"; exit 1; }
  python3 - "$work/runs/trace-$1/metrics.jsonl" "$@" <<'PYTHON'
import json, sys
path, precision, loss_limit, norm_limit = sys.argv[1:]
expected = json.load(open("tests/fixtures/9_stream/expected.json"))["pretrain"]["f32"]
ours = [record for record in map(json.loads, open(path)) if record["split"] == "train"]
assert len(ours) == len(expected) == 20
worst = {name: max(abs(a[name] - b[name]) / b[name] for a, b in zip(ours, expected)) for name in ("loss", "grad_norm")}
print(f"20-step trace in {precision}: worst relative difference {worst}")
sys.exit(worst["loss"] > float(loss_limit) or worst["grad_norm"] > float(norm_limit))
PYTHON
}

case "${1:-}" in
  pack) pack ;;
  check) check ;;
  *)
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
