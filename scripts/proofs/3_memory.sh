#!/usr/bin/env bash
# Peak memory of prep-data below 1 GB: 2 GB in rows, 2 GB as one text, long rows and texts one after the other, dedup
. scripts/python_env.sh reference
scripts=$(readlink -f scripts)
llama3=$(readlink -f "${LLAMA3_TOKENIZER:-../shared/data/llama3-tokenizer.model}")
cd "$WORK"
LLAMA_TRAIN="$LLAMA_TRAIN" "$REFERENCE_PYTHON" "$scripts/proofs/memory.py" "$scripts/../tests/fixtures/tokenizer" "$llama3"
