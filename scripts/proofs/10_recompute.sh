#!/usr/bin/env bash
# Activation checkpointing on model M: peak memory and seconds a step, each kind in turn (its gradients: tests/recomputation.rs)
python3 - <<'PYTHON'
import json, os, statistics, subprocess, sys

shape = {"model.dim": 512, "model.n_layers": 8, "model.n_heads": 8, "model.n_kv_heads": 4, "model.vocab_size": 32000,
         "model.ffn_hidden_dim": 1408, "model.tie_embeddings": "false", "train.seq_len": 512, "train.micro_batch_size": 4}  # fmt: skip
kinds = ("none", "selective", "full")
results = {kind: [] for kind in kinds}
for _ in range(3):
    for kind in kinds:
        settings = [word for key, value in shape.items() for word in ("--set", f"{key}={value}")]
        command = [os.environ["LLAMA_TRAIN"], "bench", *settings, "--set", f"train.activation_checkpointing={kind}"]
        out = subprocess.run([*command, "--steps", "3", "--warmup", "1", "--json"], capture_output=True, check=True).stdout
        results[kind].append(json.loads(out))
print(f"{'kept':10} {'peak memory':>12} {'s a step':>9} {'CPU s a step':>13}")
memory = {}
for kind, runs in results.items():
    memory[kind] = statistics.median(run["peak_memory_bytes"] for run in runs)
    seconds = statistics.median(second for run in runs for second in run["step_seconds"])
    cpu = statistics.median(run["cpu_seconds_per_step"] for run in runs)
    print(f"{kind:10} {memory[kind] / 1e6:9.0f} MB {seconds:9.2f} {cpu:13.2f}")
sys.exit(not memory["full"] < memory["selective"] < memory["none"])
PYTHON
