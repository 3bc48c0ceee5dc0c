"""Makes tests/fixtures: numbers that other people's code computed, for ours to be held against.

usage: make_fixtures.py VECTORS   (needs torch and safetensors)

Copies the small part of the reference vectors that the tests read, and records torch's own AdamW. Run by hand when a
test needs something new: CI has no vectors.
"""

import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file

FIXTURES = pathlib.Path(__file__).parents[1] / "tests/fixtures"
COPIED = [
    "1_checkpoints/*/config.json",
    "1_checkpoints/*/expected.json",
    "1_checkpoints/*/*.npy",
    "1_checkpoints/*/model*",
    "2_train_trace/init/*",
    "6_hellaswag/items.jsonl",
    "3_dpo/expected.json",
    "3_dpo/*/*",
    "9_stream/data/*",
    "9_stream/expected.json",
    "tokenizer/expected.json",
    "tokenizer/tokenizer.json",
    "tokenizer/tokenizer.model",
    "tokenizer/tokenizer_config.json",
]


def copy_vectors(vectors):
    for pattern in COPIED:
        for source in vectors.glob(pattern):
            target = FIXTURES / source.relative_to(vectors)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def copy_hellaswag(vectors):
    """What lm-eval made of the items, without the token ids."""
    found = json.loads((vectors / "6_hellaswag/expected.json").read_text())["bos"]
    kept = ["sum_logprob", "n_tokens", "n_chars", "n_bytes"]
    items = [{"pred": item["pred_acc"], "pred_norm": item["pred_acc_norm"], "label": item["gold"],
              "endings": [{key: ending[key] for key in kept} for ending in item["endings"]]} for item in found["items"]]
    text = json.dumps({"acc": found["acc"], "acc_norm": found["acc_norm"], "items": items})
    (FIXTURES / "6_hellaswag/expected.json").write_text(text + "\n")


def record_adamw(path):
    """Ten steps of torch.optim.AdamW with torch's own clipping; the matrix decays, the vector does not."""
    torch.manual_seed(0)
    params = [torch.randn(4, 3).requires_grad_(), torch.randn(5).requires_grad_()]
    groups = [{"params": params[:1], "weight_decay": 0.1}, {"params": params[1:], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8)
    tensors = {f"start.{i}": param.detach().clone() for i, param in enumerate(params)}
    norms = []
    for step in range(10):
        for i, param in enumerate(params):
            tensors[f"grad.{step}.{i}"] = param.grad = torch.randn_like(param) * (0.2 if step % 2 else 2.0)
            param.grad = param.grad.clone()
        norms.append(torch.nn.utils.clip_grad_norm_(params, 1.0))
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (step + 1)
        optimizer.step()
    tensors["norms"] = torch.stack(norms)
    for i, param in enumerate(params):
        tensors[f"end.{i}"] = param.detach()
        tensors[f"exp_avg.{i}"] = optimizer.state[param]["exp_avg"]
        tensors[f"exp_avg_sq.{i}"] = optimizer.state[param]["exp_avg_sq"]
    save_file(tensors, path)


copy_vectors(pathlib.Path(sys.argv[1]))
copy_hellaswag(pathlib.Path(sys.argv[1]))
record_adamw(FIXTURES / "adamw.safetensors")
