#!/usr/bin/env bash
# Peak memory of the losses of dpo and distill at a vocabulary of 128,256, beside PyTorch with full logits: at most 25 %
. scripts/python_env.sh trl
scripts=$(readlink -f scripts)
cd "$WORK"
"$TRL_PYTHON" "$scripts/proofs/loss_memory.py"
