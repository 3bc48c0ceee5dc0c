#!/usr/bin/env bash
# A trained small model teaches one of half its size (configs/distill/half.toml), beside the same student by itself: same
# tokens, same seeds. Prints both validation losses for each of three seeds, in nats a token, and fails where the teacher is no
# help.
#
#   scripts/recipes/distill_half.sh [FOLDER]    in which data and runs are kept (default: here)
set -euo pipefail
root=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
binary=${LLAMA_TRAIN:-"$root/scripts/llama-train"}
config="$root/configs/distill/half.toml"
cd "${1:-.}"

[ -e runs/quickstart/checkpoints/best ] || "$binary" pretrain --config "$root/configs/quickstart.toml"
for seed in 1 2 3; do
  "$binary" pretrain --config "$config" --set run.name="alone-$seed" --set run.seed=$seed
  "$binary" distill --config "$config" --set run.name="taught-$seed" --set run.seed=$seed
done
python3 - <<'PYTHON'
import json, pathlib, sys

def last(run, field):
    lines = pathlib.Path(f"runs/{run}/metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["split"] == "val"][-1][field]

print(f"teacher: {last('quickstart', 'loss'):.4f}")
worse = 0
for seed in (1, 2, 3):
    alone, taught = last(f"alone-{seed}", "loss"), last(f"taught-{seed}", "ce_loss")
    print(f"seed {seed}: alone {alone:.4f}, taught {taught:.4f}")
    worse += taught >= alone
sys.exit(worse > 0)
PYTHON
