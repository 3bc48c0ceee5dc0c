#!/usr/bin/env bash
# The README's lines from a text to a chat model in an empty folder, each timed; transformers answers as `generate` does
. scripts/python_env.sh reference
readme=$PWD/README.md scripts=$PWD/scripts configs=$PWD/configs
PATH="$(dirname "$LLAMA_TRAIN"):$PATH"
cd "$WORK"
cp -r "$configs" .
# Books: the Python standard library as text. Conversations: two hundred greetings.
python3 - <<'PYTHON'
import json, pathlib, sysconfig
books = pathlib.Path("books")
books.mkdir()
for number, path in enumerate(sorted(pathlib.Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))):
    (books / f"{number}.txt").write_text(path.read_text(errors="replace"))
names = ["Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hal", "Ida", "Jo"]
with open("chats.jsonl", "w") as file:
    for number in range(200):
        name = names[number % 10] + "x" * (number // 40)
        turns = [("user", f"I am {name}."), ("assistant", f"Hello {name}, nice to meet you.")]
        print(json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]}), file=file)
PYTHON
sed -n '/^export PATH="\$PWD/,/^```/{/^```/d;p}' "$readme" | sed -e ':a' -e '/\\$/N; s/\\\n *//; ta' | grep '^llama-train' >lines
[ "$(wc -l <lines)" -ge 8 ]
while read -r line; do
  begun=$SECONDS
  eval "$line" >out.log 2>log.txt <<<"I am Ada." || { tail -20 log.txt; echo "$line: failed"; exit 1; }
  echo "$((SECONDS - begun)) s  ${line%%  *}"
  case "$line" in *--interactive*) answer=$(head -1 out.log); echo "        answer: $answer" ;; esac
done <lines
"$REFERENCE_PYTHON" - <<'PYTHON' 2>/dev/null >theirs
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained("chat-model")
model = AutoModelForCausalLM.from_pretrained("chat-model")
turn = [{"role": "user", "content": "I am Ada."}]
ids = tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_tensors="pt", return_dict=True)
out = model.generate(**ids, max_new_tokens=32, do_sample=False)
print(tokenizer.decode(out[0, ids["input_ids"].shape[1]:], skip_special_tokens=True))
PYTHON
ours=$(llama-train generate --checkpoint chat-model --chat --prompt "I am Ada." --max-new-tokens 32 --temperature 0 2>/dev/null)
echo "transformers: $(cat theirs)"
echo "ours:         $ours"
[ -n "$(cat theirs)" ] && [[ "$ours" == *"$(cat theirs)"* ]]
