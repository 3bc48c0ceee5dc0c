#!/usr/bin/env bash
# A base tuned on generated conversations reverses lists that it has never seen: 20 of 20 answers stop, at least 15 are exact
began=$SECONDS
scripts/recipes/backwards.sh "$WORK" 2>"$WORK/log.txt" | grep -v '^next:' || { tail -20 "$WORK/log.txt"; exit 1; }
echo "$((SECONDS - began)) s in all"
