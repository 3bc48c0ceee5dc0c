#!/usr/bin/env bash
# lm-eval 0.4.13 beside llama-train on items of every benchmark: the same tokens, sums to 1e-3, the same accuracies
scripts/check_lm_eval.sh 2>"$WORK/lm-eval.log" || { tail -20 "$WORK/lm-eval.log"; exit 1; }
