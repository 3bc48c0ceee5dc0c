# Sourced: a Python environment with W&B's official client, exported as WANDB_PYTHON. For the proof that holds our client against it.

wandb_env="${XDG_CACHE_HOME:-$HOME/.cache}/llama-train/wandb-1"
WANDB_PYTHON="$wandb_env/bin/python"
export WANDB_PYTHON

make_wandb_env() {
  rm -rf "$wandb_env"
  python3 -m venv "$wandb_env"
  "$wandb_env/bin/pip" install --quiet --disable-pip-version-check 'wandb==0.31.0' || return 1
  touch "$wandb_env/.complete"
}

[ -e "$wandb_env/.complete" ] || make_wandb_env >&2
