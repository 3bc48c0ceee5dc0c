#!/usr/bin/env bash
# Two nodes (network namespaces of this machine) with two ranks each, static and c10d rendezvous: one process's losses
scripts=$(readlink -f scripts)
cd "$WORK"
"$scripts/two_nodes.sh" check
python3 "$scripts/proofs/rank_nodes.py" "$scripts/two_nodes.sh"
