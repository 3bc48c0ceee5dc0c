#!/usr/bin/env bash
# Python's huggingface_hub and datasets beside llama-train against one loopback Hub: files, rows, and each other's cache
scripts/check_hub.sh
