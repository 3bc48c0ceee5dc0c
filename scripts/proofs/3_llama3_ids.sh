#!/usr/bin/env bash
# Llama 3's own ranks against Python tiktoken: Tiny Shakespeare and 500 documents of everything, on both backends
. scripts/python_env.sh reference
data=$(readlink -f "${LLAMA3_DATA:-../shared/data}")
[ -e "$data/llama3-tokenizer.model" ] || { echo "$data/llama3-tokenizer.model is not here; name its folder with LLAMA3_DATA"; exit 1; }
scripts=$(readlink -f scripts)
cd "$WORK"
"$REFERENCE_PYTHON" "$scripts/proofs/llama3_ids.py" "$data/llama3-tokenizer.model" "$data/tinyshakespeare.txt"
