"""Trains with transformers and torch on the same windows as a run of ours, from its step-0 checkpoint, and compares.

usage: reference_trainer.py RUN_FOLDER   (made with checkpoint.initial = true and data.shuffle = false)

Prints the relative difference of the loss at every 25th step and of the last one, then opens our final folder.
Exits with 1 when the last loss differs by more than 1e-3.
"""

import json
import math
import pathlib
import sys
import tomllib

import numpy as np
import torch
from transformers import AutoTokenizer, LlamaForCausalLM

TOLERANCE = 1e-3

run = pathlib.Path(sys.argv[1])
config = tomllib.loads((run / "config.toml").read_text())
train, optim = config["train"], config["optim"]
assert config["data"]["shuffle"] is False and optim["schedule"] == "cosine"
rows, length, steps = train["micro_batch_size"], train["seq_len"], train["max_steps"]
accumulated = train.get("total_batch_tokens", rows * length) // (rows * length)

windows = []
for shard in sorted(pathlib.Path(config["data"]["path"]).glob("*_train_*.npy")):
    tokens = np.load(shard).astype(np.int64)
    windows += [tokens[i * length : i * length + length + 1] for i in range((len(tokens) - 1) // length)]

model = LlamaForCausalLM.from_pretrained(run / "checkpoints/step_00000000", dtype=torch.float32)
model.train()
groups = [
    {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": optim["weight_decay"]},
    {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(groups, lr=0.0, betas=tuple(optim["betas"]), eps=optim["eps"])


def learning_rate(step):
    high, low, warmup = optim["max_lr"], optim["min_lr"], optim["warmup_steps"]
    if step < warmup:
        return high * (step + 1) / warmup
    progress = (step - warmup) / (steps - warmup)
    return low + 0.5 * (1 + math.cos(math.pi * progress)) * (high - low)


def loss_of(model, batch):
    batch = torch.from_numpy(np.stack(batch))
    logits = model(input_ids=batch[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())


ours = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
ours = {record["step"]: record["loss"] for record in ours if record["split"] == "train"}
difference = math.inf
for step in range(steps):
    total = 0.0
    for micro in range(accumulated):
        first = (step * accumulated + micro) * rows
        loss = loss_of(model, [windows[(first + row) % len(windows)] for row in range(rows)]) / accumulated
        loss.backward()
        total += loss.item()
    torch.nn.utils.clip_grad_norm_(model.parameters(), optim["grad_clip"])
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    optimizer.step()
    optimizer.zero_grad()
    difference = abs(ours[step + 1] - total) / total
    if (step + 1) % 25 == 0:
        print(f"step {step + 1}: ours {ours[step + 1]:.6f}, transformers {total:.6f}, relative difference {difference:.1e}")

last = run / "checkpoints" / f"step_{steps:08}"
opened = LlamaForCausalLM.from_pretrained(last, dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(last)
text = "What say you, sir? Speak!"
assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
with torch.no_grad():
    probe = windows[:8]
    print(f"our final folder opened by transformers: loss {loss_of(opened, probe):.6f} on 8 windows, "
          f"transformers' own after the same steps {loss_of(model, probe):.6f}")
print(f"loss at step {steps}: relative difference {difference:.2e} (limit {TOLERANCE:.0e})")
sys.exit(difference > TOLERANCE)
