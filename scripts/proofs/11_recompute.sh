#!/usr/bin/env bash
# Peak memory and seconds a step of each kind of activation checkpointing, for pretraining, packed SFT, LoRA and DPO
. scripts/python_env.sh reference
scripts=$(readlink -f scripts)
cd "$WORK"
"$REFERENCE_PYTHON" "$scripts/proofs/recompute_table.py"
