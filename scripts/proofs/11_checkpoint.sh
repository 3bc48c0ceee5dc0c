#!/usr/bin/env bash
# A checkpoint of 300M parameters with AdamW by two ranks, sharded or not, and by one: seconds and MB/s, beside dd with fsync
. scripts/python_env.sh reference
scripts=$(readlink -f scripts)
cd "$WORK"
PATH="$(dirname "$(python3 -c 'import sys; print(sys.executable)')"):$PATH"
"$REFERENCE_PYTHON" "$scripts/proofs/checkpoint_speed.py"
