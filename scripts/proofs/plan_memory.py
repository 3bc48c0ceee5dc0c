"""Peaks as `plan` has them beside those of real steps on the CPU, each in a process of its own. The measured peak is the
resident set's (VmHWM), less what the process held before it made a model."""

import array
import json
import os
import pathlib
import random
import subprocess
import sys

PROGRAM = os.environ["LLAMA_TRAIN"]
MOST = 0.10
AT_LEAST = 1e9

SMALL = {"model.dim": 512, "model.n_layers": 8, "model.n_heads": 8, "model.n_kv_heads": 4, "model.vocab_size": 32000,
         "model.ffn_hidden_dim": 1408, "model.tie_embeddings": False, "train.seq_len": 512, "train.micro_batch_size": 4}  # fmt: skip
LARGE = SMALL | {"model.dim": 1024, "model.n_layers": 16, "model.n_heads": 16, "model.n_kv_heads": 8,
                 "model.ffn_hidden_dim": 2816, "train.seq_len": 256}  # fmt: skip
BENCHED = {
    "vocabulary of 128,256, fp32": SMALL | {"model.vocab_size": 128_256, "model.dim": 256, "model.n_layers": 4},
    "rows of 8,192 tokens": SMALL | {"model.n_layers": 4, "train.seq_len": 8192, "train.micro_batch_size": 1},
    "full recomputation, 16 rows": SMALL | {"train.activation_checkpointing": "full", "train.micro_batch_size": 16},
    "tied, 2 micro-batches": SMALL | {"model.tie_embeddings": True, "train.total_batch_tokens": 8192,
                                      "train.micro_batch_size": 8},
    "bf16, weights too, selective": LARGE | {"train.precision": "bf16", "train.weights": "bf16",
                                             "train.activation_checkpointing": "selective"},
    "adapters on all matrices": LARGE | {"lora.enabled": True, "lora.target_modules": ["wq", "wk", "wv", "wo", "w1", "w2", "w3"]},
    "2 ranks, moments divided": SMALL | {"model.vocab_size": 64_000, "train.shard_optimizer": True},
}  # fmt: skip


def sets(settings):
    pairs = {"run.device": "cpu", "run.threads": 1} | settings
    return [word for key, value in pairs.items() for word in ("--set", f"{key}={json.dumps(value)}")]


def call(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
    return json.loads(done.stdout)


def planned(settings, *flags):
    memory = call([PROGRAM, "plan", *sets(settings), *flags, "--json"])["memory"]
    return memory[memory["activation_checkpointing"]]


def benched(settings, launcher=()):
    return call([*launcher, PROGRAM, "bench", *sets(settings), "--steps", "2", "--warmup", "0", "--json"])


def save(path, kind, values):
    """A one-dimensional .npy file."""
    header = f"{{'descr': '<{'u4' if kind == 'I' else 'u8'}', 'fortran_order': False, 'shape': ({len(values)},), }}".ljust(117) + "\n"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + array.array(kind, values).tobytes())


def make_pairs(shape, pairs):
    """An untrained model of that shape, and pairs whose rows are all full, with a prompt of one token."""
    length = shape["train.seq_len"]
    ids = lambda count: [random.randrange(shape["model.vocab_size"]) for _ in range(count)]
    save(pathlib.Path("pairs/p_train_000000.npy"), "I", ids(pairs * (1 + 2 * length)))
    ends = [pair * (1 + 2 * length) + end for pair in range(pairs) for end in (1, 1 + length, 1 + 2 * length)]
    save(pathlib.Path("pairs/p_train_000000.index.npy"), "L", [0, *ends])
    save(pathlib.Path("text/t_train_000000.npy"), "I", ids(4 * length + 1))
    start = {"data.path": "text", "run.name": "start", "train.max_steps": 1, "train.micro_batch_size": 1, "optim.max_lr": 0.0}
    return call([PROGRAM, "pretrain", *sets(shape | start), "--json"])["checkpoint"]


def preferences():
    """A policy against a reference of the same size, on pairs."""
    shape = SMALL | {"model.n_layers": 6, "train.seq_len": 256}
    settings = {"model.init_from": make_pairs(shape, 16), "data.path": "pairs", "train.seq_len": 256, "train.micro_batch_size": 4,
                "train.max_steps": 2, "checkpoint.save": False, "run.name": "preferred", "dpo.on_too_long": "truncate"}  # fmt: skip
    call([PROGRAM, "dpo", *sets(settings), "--json"])
    lines = pathlib.Path("runs/preferred/metrics.jsonl").read_text().splitlines()
    peak = max(json.loads(line).get("memory_peak_bytes", 0) for line in lines)
    return planned(settings, "--verb", "dpo"), peak


def main():
    print(f"{'':32} {'predicted':>10} {'measured':>10} {'off by':>8}  fullest moment, as predicted")
    failed = False
    only = sys.argv[1:]
    baseline = None

    def compare(name, plan, peak):
        nonlocal failed
        measured = peak - baseline
        off = plan["total_bytes"] / measured - 1
        failed |= abs(off) > MOST or measured < AT_LEAST
        print(f"{name:32} {plan['total_bytes'] / 1e6:7.0f} MB {measured / 1e6:7.0f} MB {100 * off:+6.1f} %  {plan['fullest']}", flush=True)

    for name, settings in BENCHED.items():
        if only and name not in only:
            continue
        ranks = 2 if name.startswith("2 ranks") else 1
        launcher = ["torchrun", "--no-python", "--standalone", "--nproc-per-node", "2"] if ranks == 2 else []
        found = benched(settings, launcher)
        baseline = found["baseline_memory_bytes"]
        compare(name, planned(settings, "--world-size", str(ranks)), found["peak_memory_bytes"])
    if not only or "dpo" in only:
        baseline = baseline or benched(SMALL | {"model.n_layers": 1})["baseline_memory_bytes"]
        compare("dpo with a reference", *preferences())
    print(f"the program alone: {baseline / 1e6:.0f} MB")
    sys.exit(failed)


main()
