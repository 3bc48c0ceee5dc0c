#!/usr/bin/env bash
# One global batch cut into ranks and accumulation in every way under torchrun: 30 steps against a single process
scripts=$(readlink -f scripts)
cd "$WORK"
python3 "$scripts/proofs/rank_numbers.py"
