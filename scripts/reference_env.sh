# Sourced after libtorch.sh: a Python environment with transformers and peft beside the torch that is built against, exported as
# REFERENCE_PYTHON. For the proofs that hold our numbers against other people's.

reference="${XDG_CACHE_HOME:-$HOME/.cache}/llama-train/reference-3"
REFERENCE_PYTHON="$reference/bin/python"
export REFERENCE_PYTHON

make_reference() {
  local torch_site
  torch_site=$(python3 -c 'import importlib.util, pathlib; print(pathlib.Path(importlib.util.find_spec("torch").origin).parents[1])')
  rm -rf "$reference"
  python3 -m venv "$reference"
  "$REFERENCE_PYTHON" -c 'import site; print(site.getsitepackages()[0])' | while read -r site; do
    echo "$torch_site" >"$site/torch.pth" # its packages, not a second copy of them
  done
  "$reference/bin/pip" install --quiet --disable-pip-version-check 'transformers==5.23.0' 'peft==0.21.2' 'tiktoken==0.12.0' numpy safetensors || return 1
  touch "$reference/.complete"
}

[ -e "$reference/.complete" ] || make_reference >&2
