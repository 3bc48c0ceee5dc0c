#!/usr/bin/env bash
# Ranks 2, then 1, then 4, each resuming the one before: one epoch, every sample once, the curve of a single process
scripts=$(readlink -f scripts)
cd "$WORK"
python3 "$scripts/proofs/rank_worlds.py"
(cd "$scripts/.." && cargo test --release --quiet --test integration no_sample_is_lost 2>&1 | grep "test result")
