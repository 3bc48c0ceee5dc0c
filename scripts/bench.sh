#!/usr/bin/env bash
# Times ours beside transformers, compiled transformers and litgpt, interleaved in one run, and keeps the table, with commit
# and date, in scripts/bench/RESULTS.md.
exec "$(dirname "$(readlink -f "$0")")/prove" --record 10 speed
