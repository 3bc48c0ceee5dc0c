# Sourced by proofs: `plant TEST FILE SED MEANING` changes FILE in a clone, and expects TEST to fail; `planted` ends the
# proof by how that went. With PLANTS=look nothing is changed or run: that each fault still finds its place is told.

failures=0
planted() {
  [ "$failures" = 0 ]
}
if [ "${PLANTS:-}" = look ]; then
  plant() { # test, file, sed expression, what it means
    if [ ! -e "$2" ] || sed "$3" "$2" | cmp -s - "$2"; then
      echo "NOT PLANTED in $2: $4"
      failures=$((failures + 1))
    fi
  }
  return
fi

clone="$WORK/clone"
git -c advice.defaultBranchName=false -c advice.detachedHead=false clone --quiet . "$clone"
# The dependencies' build is shared. Cargo goes by file times, so this checkout is touched at the end: without that it
# would take the last fault's build for its own.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
original=$PWD
trap 'find "$original"/src "$original"/tests "$original"/build.rs -type f -exec touch {} +' EXIT
cd "$clone"

plant() { # test, file, sed expression, what it means
  sed -i "$3" "$2"
  if git diff --quiet; then
    echo "NOT PLANTED: $4"
    failures=$((failures + 1))
    return
  fi
  if cargo test --release --locked --quiet --test integration -- "$1" >"$WORK/test.log" 2>&1; then
    echo "NOT SEEN by $1: $4"
    failures=$((failures + 1))
  elif grep -q "^test result: FAILED" "$WORK/test.log"; then
    echo "seen by $1: $4"
  else
    echo "DOES NOT BUILD: $4"
    tail -20 "$WORK/test.log"
    failures=$((failures + 1))
  fi
  git checkout --quiet .
}
