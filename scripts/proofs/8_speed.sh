#!/usr/bin/env bash
# Speed of dpo with a kept reference against TRL's DPOTrainer with precompute_ref_log_probs: model M, equal tokens, two cores
. scripts/python_env.sh trl
scripts=$(readlink -f scripts)
cd "$WORK"
"$TRL_PYTHON" "$scripts/proofs/dpo_speed.py" "$scripts/../tests/fixtures/tokenizer"
