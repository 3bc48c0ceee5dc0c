#!/usr/bin/env bash
# A 1B model in bf16, sharded: peak memory of loading, scoring a window and exporting, against its size
"$(command -v python3)" scripts/proofs/one_billion.py "$WORK"
