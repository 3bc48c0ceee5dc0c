#!/usr/bin/env bash
# From nothing to a model that reverses lists in a conversation, in minutes on a CPU: pretrain, sft (configs/sft/backwards),
# and how many of 20 lists that it has not seen it reverses.
#
#   scripts/recipes/backwards.sh [FOLDER]    in which data and runs are kept (default: here)
set -euo pipefail
root=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
binary=${LLAMA_TRAIN:-"$root/scripts/llama-train"}
recipe="$root/configs/sft/backwards"
cd "${1:-.}"

python3 "$root/scripts/recipes/backwards_data.py" data/backwards
"$binary" pretrain --config "$recipe/1-base.toml"
"$binary" prep-data instruct --config "$recipe/2-chat.toml" --input data/backwards/chats.jsonl
"$binary" sft --config "$recipe/2-chat.toml"
python3 - "$binary" <<'PYTHON'
import json, pathlib, subprocess, sys

new = [json.loads(line) for line in pathlib.Path("data/backwards/new.jsonl").read_text().splitlines()]
prompts = [word for row in new for word in ("--prompt", row["prompt"])]
model = ["--checkpoint", "runs/backwards/checkpoints/best", "--temperature", "0"]
answers = subprocess.run([sys.argv[1], "generate", "--chat", "--json", *model, *prompts], capture_output=True, check=True)
answers = json.loads(answers.stdout)["completions"]
stopped = sum(answer["stopped"] == "stop_token" for answer in answers)
exact = sum(answer["text"].strip() == row["answer"] for answer, row in zip(answers, new))
print(f"{new[0]['prompt']} -> {answers[0]['text']}")
print(f"of {len(new)} new lists: {stopped} answers stop by themselves, {exact} are exact")
sys.exit(not (stopped == 20 and exact >= 15))
PYTHON
