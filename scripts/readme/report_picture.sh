#!/usr/bin/env bash
# Draws the README's picture, scripts/readme/report.png: the page of two short runs over each other, as a browser shows it.
# Not run by CI: it needs Chromium (apt install chromium) and some minutes of two cores.
#
#   scripts/readme/report_picture.sh [FOLDER]    in which data and runs are kept (default: a temporary one)
set -euo pipefail
root=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
binary=${LLAMA_TRAIN:-"$root/scripts/llama-train"}
cd "${1:-$(mktemp -d)}"

common=(--config "$root/configs/quickstart.toml" --set validate.every=20 --set checkpoint.save=false --set generate.every=0)
for lr in 3e-3 1e-3; do
  [ -e "runs/lr-$lr" ] || "$binary" pretrain "${common[@]}" --set train.max_steps=200 --set optim.max_lr=$lr --set run.name="lr-$lr"
done
"$binary" report lr-3e-3 lr-1e-3 --out both.html
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --blink-settings=preferredColorScheme=1 \
  --virtual-time-budget=2000 --window-size=1240,760 --screenshot="$root/scripts/readme/report.png" "file://$PWD/both.html"
