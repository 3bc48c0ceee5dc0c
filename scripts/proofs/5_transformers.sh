#!/usr/bin/env bash
# transformers and peft open what llama-train writes: the same ids, and logits to 2e-4
scripts/check_transformers.sh 2>&1 | grep -E "ids of|logits to|test result"
