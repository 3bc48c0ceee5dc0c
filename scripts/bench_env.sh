# Sourced after libtorch.sh: a Python environment with the trainers that ours is timed beside, exported as BENCH_PYTHON; it
# uses the torch that is built against.

. scripts/reference_env.sh
BENCH_PYTHON="$REFERENCE_PYTHON"
export BENCH_PYTHON
"$BENCH_PYTHON" -c 'import litgpt' 2>/dev/null || {
  "$BENCH_PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps 'litgpt==0.5.13' >&2
  "$BENCH_PYTHON" -m pip install --quiet --disable-pip-version-check lightning jsonargparse >&2
}
