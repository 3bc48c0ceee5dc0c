#!/usr/bin/env bash
# From nothing to a model that answers politely, in minutes on a CPU: pretrain, sft, dpo (configs/dpo/polite), and how many of
# 50 answers to new questions are polite before and after.
#
#   scripts/recipes/polite.sh [FOLDER]    in which data and runs are kept (default: here)
set -euo pipefail
root=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
binary=${LLAMA_TRAIN:-"$root/scripts/llama-train"}
recipe="$root/configs/dpo/polite"
cd "${1:-.}"

python3 "$root/scripts/recipes/polite_data.py" data/polite
"$binary" pretrain --config "$recipe/1-base.toml"
"$binary" prep-data instruct --config "$recipe/2-chat.toml" --input data/polite/chats.jsonl
"$binary" sft --config "$recipe/2-chat.toml"
"$binary" prep-data preference --config "$recipe/3-polite.toml" --input data/polite/pairs.jsonl
"$binary" dpo --config "$recipe/3-polite.toml"
for run in polite-chat polite; do
  prompts=()
  while read -r prompt; do prompts+=(--prompt "$prompt"); done <data/polite/prompts.txt
  "$binary" generate --chat --json --checkpoint "runs/$run/checkpoints/best" --temperature 0 --max-new-tokens 40 \
    "${prompts[@]}" >"data/polite/$run.json"
  python3 "$root/scripts/recipes/polite_count.py" "data/polite/$run.json"
done
