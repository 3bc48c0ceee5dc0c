#!/usr/bin/env bash
# kill -9 of a random rank at 20 random moments under --max-restarts: the run ends, with an undisturbed run's metrics
scripts=$(readlink -f scripts)
cd "$WORK"
python3 "$scripts/proofs/rank_kills.py"
