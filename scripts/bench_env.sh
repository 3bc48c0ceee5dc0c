# Sourced after libtorch.sh: a Python environment with the trainers that ours is timed beside, and the torch that is built
# against, exported as BENCH_PYTHON. litgpt asks for older packages than transformers does, so it comes without its own.

bench_env="${XDG_CACHE_HOME:-$HOME/.cache}/llama-train/bench-1"
BENCH_PYTHON="$bench_env/bin/python"
export BENCH_PYTHON

make_bench_env() {
  local torch_site
  torch_site=$(python3 -c 'import importlib.util, pathlib; print(pathlib.Path(importlib.util.find_spec("torch").origin).parents[1])')
  rm -rf "$bench_env"
  python3 -m venv "$bench_env"
  "$BENCH_PYTHON" -c 'import site; print(site.getsitepackages()[0])' | while read -r site; do
    echo "$torch_site" >"$site/torch.pth" # its packages, not a second copy of them
  done
  "$bench_env/bin/pip" install --quiet --disable-pip-version-check 'transformers==5.23.0' lightning jsonargparse numpy psutil || return 1
  "$bench_env/bin/pip" install --quiet --disable-pip-version-check --no-deps 'litgpt==0.5.13' || return 1
  touch "$bench_env/.complete"
}

[ -e "$bench_env/.complete" ] || make_bench_env >&2
