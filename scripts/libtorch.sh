# Sourced by the other scripts: finds the libtorch to build and run with, or makes one, and exports where it is.
#
# In this order: LIBTORCH (a libtorch folder), LIBTORCH_USE_PYTORCH (the python3 on PATH), an active virtual or conda
# environment with the right torch, and our own environment below ${XDG_CACHE_HOME:-~/.cache}/llama-train.

TORCH_VERSION=2.11.0
# torch's wheel brings most of CUDA's headers; these are the rest of what the CUDA part is compiled with.
PACKAGES="torch==$TORCH_VERSION nvidia-cuda-crt==13.0.88 nvidia-cuda-cccl==13.0.85"

die() { # what is wrong, remedies
  echo "error: $1" >&2
  shift
  printf '%s\n' "$@" >&2
  exit 1
}

need_toolchain() {
  command -v cargo >/dev/null || die "cargo is not installed; install Rust 1.95 or newer (with rustup, or your system's packages)."
  command -v c++ >/dev/null || die "c++ is not installed; install a C++17 compiler (on Debian and Ubuntu: apt install g++)."
}

torch_version_of() { # python
  "$1" - <<'PYTHON' 2>/dev/null
import importlib.metadata
print(importlib.metadata.version("torch").split("+")[0])
PYTHON
}

check_given_libtorch() {
  local header="$LIBTORCH/include/torch/headeronly/version.h" found
  [ -e "$LIBTORCH/lib/libtorch_cpu.so" ] || die "LIBTORCH=$LIBTORCH: no lib/libtorch_cpu.so there." \
    "Point LIBTORCH at an unpacked libtorch $TORCH_VERSION, or unset it and let this script make one."
  found=$(sed -n 's/^#define TORCH_VERSION_\(MAJOR\|MINOR\|PATCH\) //p' "$header" 2>/dev/null | paste -sd .)
  [ "$found" = "$TORCH_VERSION" ] || die "LIBTORCH=$LIBTORCH: this is version ${found:-unknown}, $TORCH_VERSION is needed." \
    "Point LIBTORCH at libtorch $TORCH_VERSION, or unset it and let this script make one."
}

check_given_python() {
  local found
  found=$(torch_version_of python3) || found=none
  [ "$found" = "$TORCH_VERSION" ] || die "LIBTORCH_USE_PYTORCH: the torch of $(command -v python3) is $found, $TORCH_VERSION is needed." \
    "Install it there (pip install torch==$TORCH_VERSION), or unset LIBTORCH_USE_PYTORCH and let this script make an environment."
}

use_environment() { # folder of the environment
  export VIRTUAL_ENV=$1 PATH="$1/bin:$PATH" LIBTORCH_USE_PYTORCH=1
}

make_environment() { # folder, there already where only packages have to be added
  [ -e "$1/.complete" ] || make_empty_environment "$1"
  # shellcheck disable=SC2086 # several packages
  "$1/bin/pip" install --quiet --disable-pip-version-check $PACKAGES >&2 \
    || die "pip could not install torch $TORCH_VERSION into $1; check the network and the free space there, then try again."
  echo "$PACKAGES" >"$1/.complete"
}

make_empty_environment() { # folder
  local python
  for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
    "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 15))' 2>/dev/null && break
    python=
  done
  [ -n "$python" ] || die "Python 3.10 to 3.14 is needed to fetch libtorch; install it, or set LIBTORCH to an unpacked libtorch $TORCH_VERSION."
  echo "Once: fetching torch $TORCH_VERSION into $1 (about 5 GB, some minutes)" >&2
  rm -rf "$1"
  mkdir -p "$(dirname "$1")"
  "$python" -m venv "$1" >&2 || die "$python cannot make a virtual environment; install its venv module (on Debian and Ubuntu: apt install python3-venv)."
}

own_environment() {
  local dir="${XDG_CACHE_HOME:-$HOME/.cache}/llama-train/torch-$TORCH_VERSION"
  mkdir -p "$(dirname "$dir")"
  (
    flock 9 # two starts at once make it once
    [ "$(cat "$dir/.complete" 2>/dev/null)" = "$PACKAGES" ] || make_environment "$dir"
  ) 9>"$dir.lock" || exit 1
  use_environment "$dir"
}

need_toolchain # before anything large is fetched
active=${VIRTUAL_ENV:-${CONDA_PREFIX:-}}
if [ -n "${LIBTORCH:-}" ]; then
  check_given_libtorch
elif [ -n "${LIBTORCH_USE_PYTORCH:-}" ]; then
  check_given_python
elif [ -n "$active" ] && [ "$(torch_version_of "$active/bin/python3")" = "$TORCH_VERSION" ]; then
  use_environment "$active"
else
  [ -z "$active" ] || echo "note: the active environment has no torch $TORCH_VERSION; using our own beside it" >&2
  own_environment
fi
