# Sourced after libtorch.sh: a Python environment with TRL beside the torch that is built against, exported as TRL_PYTHON. For
# the proof that holds our speed against TRL's.

trl_env="${XDG_CACHE_HOME:-$HOME/.cache}/llama-train/trl-1"
TRL_PYTHON="$trl_env/bin/python"
export TRL_PYTHON

make_trl_env() {
  local torch_site
  torch_site=$(python3 -c 'import importlib.util, pathlib; print(pathlib.Path(importlib.util.find_spec("torch").origin).parents[1])')
  rm -rf "$trl_env"
  python3 -m venv "$trl_env"
  "$TRL_PYTHON" -c 'import site; print(site.getsitepackages()[0])' | while read -r site; do
    echo "$torch_site" >"$site/torch.pth" # its packages, not a second copy of them
  done
  "$trl_env/bin/pip" install --quiet --disable-pip-version-check 'trl==1.16.0' 'transformers==5.23.0' 'datasets==5.2.0' numpy || return 1
  touch "$trl_env/.complete"
}

[ -e "$trl_env/.complete" ] || make_trl_env >&2
