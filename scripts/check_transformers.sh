#!/usr/bin/env bash
# Opens what llama-train writes with transformers and peft: the same ids, and logits to 2e-4. The packages are installed
# beside torch, in an environment of their own, on the first call.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/libtorch.sh
. scripts/python_env.sh reference
scripts/setup.sh
LLAMA_TRAIN=$(readlink -f "${CARGO_TARGET_DIR:-target}/release/llama-train")
export LLAMA_TRAIN
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$REFERENCE_PYTHON" scripts/check_transformers.py "$work"
LLAMA_TRAIN_REFERENCE="$work/cases" cargo test --release --locked --quiet --test integration -- --ignored --exact \
  reference::logits_are_the_references --nocapture
