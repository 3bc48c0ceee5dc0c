#!/usr/bin/env bash
# kill -9 of a random rank at 20 random moments with a sharded optimizer: the run ends, with an undisturbed run's metrics
scripts=$(readlink -f scripts)
cd "$WORK"
SHARDED=1 python3 "$scripts/proofs/rank_kills.py"
