#!/usr/bin/env bash
# A half-size student taught by a trained small model beats the same student alone: validation loss, same tokens, three seeds
scripts/recipes/distill_half.sh "$WORK" 2>"$WORK/log.txt" || { tail -20 "$WORK/log.txt"; exit 1; }
