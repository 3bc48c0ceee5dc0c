#!/usr/bin/env bash
# Makes what is missing: libtorch (see libtorch.sh) and the release build.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/libtorch.sh
cargo build --release --locked --bin llama-train >&2
