#!/usr/bin/env bash
# MB/s of prep-data on 60 MB or more of English beside Python's tiktoken and Hugging Face's tokenizers, ids compared
. scripts/python_env.sh reference
scripts=$(readlink -f scripts)
corpus=${CORPUS:-${XDG_CACHE_HOME:-$HOME/.cache}/llama-train/debian-docs.jsonl}
if [ ! -e "$corpus" ]; then # Debian's documentation packages, unpacked but not installed
  (cd "$WORK" && apt-get update >/dev/null && apt-get download linux-doc-6.1 python3.11-doc >/dev/null 2>&1)
  for package in "$WORK"/*.deb; do dpkg -x "$package" "$WORK/docs"; done
  "$REFERENCE_PYTHON" "$scripts/proofs/debian_docs.py" "$WORK/docs" "$corpus"
fi
cd "$WORK"
"$LLAMA_TRAIN" prep-data tokenizer --input "$corpus" --vocab-size 32000 --out trained 2>/dev/null
"$REFERENCE_PYTHON" "$scripts/proofs/tokenizing_speed.py" "$corpus" trained/tokenizer.json
