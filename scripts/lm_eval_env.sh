# Sourced after libtorch.sh: a Python environment with lm-evaluation-harness beside the torch that is built against, exported as
# LM_EVAL_PYTHON. For the proofs that hold our benchmarks against it.

lm_eval_env="${XDG_CACHE_HOME:-$HOME/.cache}/llama-train/lm-eval-1"
LM_EVAL_PYTHON="$lm_eval_env/bin/python"
export LM_EVAL_PYTHON

make_lm_eval_env() {
  local torch_site
  torch_site=$(python3 -c 'import importlib.util, pathlib; print(pathlib.Path(importlib.util.find_spec("torch").origin).parents[1])')
  rm -rf "$lm_eval_env"
  python3 -m venv "$lm_eval_env"
  "$LM_EVAL_PYTHON" -c 'import site; print(site.getsitepackages()[0])' | while read -r site; do
    echo "$torch_site" >"$site/torch.pth" # its packages, not a second copy of them
  done
  "$lm_eval_env/bin/pip" install --quiet --disable-pip-version-check 'lm-eval[hf]==0.4.13' 'transformers==5.23.0' 'datasets==5.2.0' || return 1
  touch "$lm_eval_env/.complete"
}

[ -e "$lm_eval_env/.complete" ] || make_lm_eval_env >&2
