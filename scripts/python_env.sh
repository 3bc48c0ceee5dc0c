# Sourced after libtorch.sh as `. scripts/python_env.sh NAME`: a Python environment with other people's programs beside the
# torch that is built against, its interpreter exported as NAME_PYTHON (REFERENCE_PYTHON and so on). For the proofs that hold
# our numbers and speed against theirs. It is made once for its list of packages.

# Prints what an environment consists of, a line for each call of pip.
python_env_packages() {
  case "$1" in
    reference) echo "transformers==5.23.0 peft==0.21.2 tiktoken==0.12.0 numpy safetensors jinja2" ;;
    trl) echo "trl==1.16.0 transformers==5.23.0 datasets==5.2.0 numpy" ;;
    lm_eval) echo "lm-eval[hf]==0.4.13 transformers==5.23.0 datasets==5.2.0" ;;
    hub_clients) echo "huggingface_hub==2.4.0 datasets==5.2.0 tokenizers==0.23.3" ;;
    wandb) echo "wandb==0.31.0" ;;
    # litgpt asks for older packages than transformers does, so it comes without its own.
    bench) printf '%s\n' "transformers==5.23.0 lightning jsonargparse numpy psutil" "--no-deps litgpt==0.5.13" ;;
    *) echo "python_env.sh: unknown environment $1" >&2 && return 1 ;;
  esac
}

make_python_env() { # FOLDER PACKAGES
  local torch_site packages
  torch_site=$(python3 -c 'import importlib.util, pathlib; print(pathlib.Path(importlib.util.find_spec("torch").origin).parents[1])')
  rm -rf "$1"
  python3 -m venv "$1"
  "$1/bin/python" -c 'import site; print(site.getsitepackages()[0])' | while read -r site; do
    echo "$torch_site" >"$site/torch.pth" # its packages, not a second copy of them
  done
  while read -r packages; do
    # shellcheck disable=SC2086 # a list of words
    "$1/bin/pip" install --quiet --disable-pip-version-check $packages || return 1
  done <<<"$2"
  touch "$1/.complete"
}

python_env() {
  local packages folder
  packages=$(python_env_packages "$1") || return 1
  folder="${XDG_CACHE_HOME:-$HOME/.cache}/llama-train/$1-$(sha256sum <<<"$packages" | cut -c1-8)"
  export "${1^^}_PYTHON=$folder/bin/python"
  [ -e "$folder/.complete" ] || make_python_env "$folder" "$packages" >&2
}

python_env "$1"
