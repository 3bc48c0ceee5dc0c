#!/usr/bin/env bash
# A W&B server takes our runs and the official client's, online and by wandb sync; down for a minute, nothing is lost
. scripts/python_env.sh wandb
scripts=$(readlink -f scripts)
server=$(cargo test --release --no-run --test integration 2>&1 | grep -o '[^ (]*deps/integration-[0-9a-f]*')
server=$(readlink -f "$server")
cd "$WORK"
"$WANDB_PYTHON" "$scripts/proofs/wandb_runs.py" "$server" "$scripts/../tests/fixtures"
