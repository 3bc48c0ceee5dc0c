#!/usr/bin/env bash
# Python's own clients of the Hub (huggingface_hub, datasets) and llama-train against the tests' server: the same files,
# the same rows, one cache. LLAMA_TRAIN names the binary; without it, it is built.
set -euo pipefail
root=$(dirname "$(dirname "$(readlink -f "$0")")")
cd "$root"
. scripts/libtorch.sh
if [ -z "${LLAMA_TRAIN:-}" ]; then
  scripts/setup.sh
  LLAMA_TRAIN="${CARGO_TARGET_DIR:-$root/target}/release/llama-train"
fi
export LLAMA_TRAIN

. scripts/python_env.sh hub_clients

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT # the server ends with its address
export HUB_FOLDER="$folder"
cargo test --release --locked --quiet --test integration --no-run
cargo test --release --locked --quiet --test integration -- --ignored --exact hub::standalone::serve >"$folder/server.log" 2>&1 &
for _ in $(seq 300); do
  [ ! -e "$folder/address" ] || break
  sleep 0.1
done
cd "$folder"
HF_ENDPOINT=$(cat address) "$HUB_CLIENTS_PYTHON" "$root/scripts/check_hub.py" "$root/tests/fixtures/tokenizer"
