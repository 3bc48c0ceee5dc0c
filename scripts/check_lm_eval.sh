#!/usr/bin/env bash
# lm-evaluation-harness 0.4.13 and llama-train on the same items and the same little model: the same tokens, log-likelihoods
# to 1e-3, the same predictions, accuracies and errors. Prints a table. The harness is installed on the first call and runs
# offline. With --record its results become tests/fixtures/benchmarks/expected.json, which the tests hold us to; so
# scripts/test.sh does not run it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/libtorch.sh
. scripts/python_env.sh lm_eval
if [ -z "${LLAMA_TRAIN:-}" ]; then
  scripts/setup.sh
  LLAMA_TRAIN="${CARGO_TARGET_DIR:-target}/release/llama-train"
fi
LLAMA_TRAIN=$(readlink -f "$LLAMA_TRAIN")
export LLAMA_TRAIN
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$LM_EVAL_PYTHON" scripts/check_lm_eval.py "$work" "$@"
