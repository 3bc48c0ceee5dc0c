#!/usr/bin/env bash
# The smoke test of a Meta folder (consolidated.*.pth, params.json, tokenizer.model): it writes text, and scores some.
#
#   scripts/meta_smoke.sh FOLDER [TEXT [ITEMS]]     TEXT: the file whose perplexity is taken (our README where none is given)
#                                                   ITEMS: HellaSwag's, as its data set has them (13 of our own)
#
# Real weights answer sensibly, have a perplexity of about 10 to 20 on prose and find most of HellaSwag's endings; a wrong
# rotary layout or a missing norm gives thousands, and one ending in four. The proof `5 meta_smoke` runs it on the test's own little model.
set -euo pipefail
if [ $# -lt 1 ] || [ ! -e "$1/params.json" ]; then
  echo "usage: scripts/meta_smoke.sh FOLDER [TEXT [ITEMS]], FOLDER with consolidated.00.pth, params.json and tokenizer.model" >&2
  exit 2
fi
scripts=$(dirname "$(readlink -f "$0")")
folder=$(readlink -f "$1")
text=$(readlink -f "${2:-$scripts/../README.md}")
items=$(readlink -f "${3:-$scripts/../tests/fixtures/benchmarks/hellaswag.jsonl}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for prompt in "The capital of France is" "Water boils at a temperature of"; do
  "$scripts/llama-train" generate --checkpoint "$folder" --prompt "$prompt" --max-new-tokens 24 --temperature 0
done
"$scripts/llama-train" prep-data pretrain --input "$text" --tokenizer "$folder" --val-fraction 0 --out "$work"
"$scripts/llama-train" eval --checkpoint "$folder" --tasks loss,hellaswag --data "$work" --split train --seq-len 256 \
  --task-data hellaswag="$items"
