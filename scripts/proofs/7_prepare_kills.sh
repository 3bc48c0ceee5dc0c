#!/usr/bin/env bash
# prep-data instruct, kill -9 at ten random moments, with 1, 2 and 5 workers: byte-identical to an uninterrupted one
scripts=$(readlink -f scripts)
cd "$WORK"
python3 "$scripts/proofs/kills.py" "$scripts/../tests/fixtures/tokenizer" instruct
