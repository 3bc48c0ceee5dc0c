#!/usr/bin/env bash
# kill -9 at ten random moments, with 1, 2 and 5 workers: the folders are byte-identical to an uninterrupted one's
scripts=$(readlink -f scripts)
cd "$WORK"
python3 "$scripts/proofs/kills.py" "$scripts/../tests/fixtures/tokenizer" pretrain
