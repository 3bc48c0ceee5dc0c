#!/usr/bin/env bash
# A 1B model in bf16, sharded: peak memory of loading, scoring a window and exporting, against its size
. scripts/python_env.sh reference
"$REFERENCE_PYTHON" scripts/proofs/one_billion.py "$WORK"
