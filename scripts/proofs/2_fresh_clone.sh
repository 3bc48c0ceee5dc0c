#!/usr/bin/env bash
# A fresh clone with empty caches: the README's two commands and .ci/run, with their durations
first=$(grep -m1 '^scripts/llama-train ' README.md)
second=$(grep -m1 '^scripts/test.sh' README.md)
git clone --quiet . "$WORK/clone"
cd "$WORK/clone"
# Nothing made before is found: torch, cargo's registry, pip's cache, the build.
unset LIBTORCH LIBTORCH_USE_PYTORCH VIRTUAL_ENV CARGO_TARGET_DIR
PATH=$(tr : '\n' <<<"$PATH" | grep -v /llama-train/ | paste -sd :)
export PATH XDG_CACHE_HOME="$WORK/cache" CARGO_HOME="$WORK/cargo" PIP_NO_CACHE_DIR=1

timed() { # name, command
  local begun=$SECONDS
  eval "$2" >"$WORK/$1.log" 2>&1 || { tail -30 "$WORK/$1.log"; echo "$2: failed"; exit 1; }
  echo "$2: $((SECONDS - begun)) s"
}

timed first "$first"
grep -E "^step [0-9]+/[0-9]+ val" "$WORK/first.log"
grep -A3 "^sample: class" "$WORK/first.log" | tail -4
tail -3 "$WORK/first.log"
timed again "$first --resume"
timed second "$second"
grep "^test result" "$WORK/second.log"
timed ci .ci/run
