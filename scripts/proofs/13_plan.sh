#!/usr/bin/env bash
# `plan`'s memory against the measured peak above the program's own, for seven trainings over 1 GB: within 10 %
scripts=$(readlink -f scripts)
cd "$WORK"
python3 "$scripts/proofs/plan_memory.py"
