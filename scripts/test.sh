#!/usr/bin/env bash
# The whole check: format, lints (warnings are errors), tests. One profile throughout, so that torch-sys compiles once.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/libtorch.sh
for script in scripts/*.sh scripts/llama-train scripts/prove scripts/proofs/*.sh scripts/readme/*.sh scripts/recipes/*.sh .ci/run; do
  bash -n "$script"
done
python3 -c 'import ast, sys; [ast.parse(open(file).read(), file) for file in sys.argv[1:]]' scripts/*.py scripts/proofs/*.py scripts/recipes/*.py
cargo fmt --check
cargo clippy --release --locked --all-targets -- -D warnings
cargo test --release --locked "$@"
[ $# -eq 0 ] || exit 0
# Other people's programs open what ours writes, where their packages can be installed.
if (. scripts/python_env.sh reference); then
  scripts/check_transformers.sh
else
  echo "skipped: scripts/check_transformers.sh, as transformers and peft cannot be installed here" >&2
fi
