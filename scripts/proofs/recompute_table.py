"""A model of 38M parameters through every way to train, with each kind of activation checkpointing in turn."""

import json
import os
import pathlib
import statistics
import subprocess

import numpy

BINARY = os.environ["LLAMA_TRAIN"]
SHAPE = dict(dim=512, n_layers=8, n_heads=8, n_kv_heads=4, vocab_size=16000, ffn_hidden_dim=1408, max_seq_len=512, tie_embeddings=True)
KINDS = ("none", "selective", "full")
STEPS, ROUNDS = 4, 2
random = numpy.random.default_rng(11)


def settings(values):
    text = lambda value: str(value).lower() if isinstance(value, bool) else json.dumps(value)
    return [word for key, value in values.items() for word in ("--set", f"{key}={text(value)}")]


def run(verb, name, values, *more):
    fixed = {"run.name": name, "run.device": "cpu", "train.seq_len": 512, "train.micro_batch_size": 4, "checkpoint.save": False, "train.max_steps": STEPS}
    done = subprocess.run([BINARY, verb, *more, *settings(fixed | values)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    lines = map(json.loads, pathlib.Path(f"runs/{name}/metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line["split"] == "train"]


def folders():
    """Shards as the contract has them, of random ids: pretrain, instruct and preference."""
    for name in ("text", "chats", "pairs"):
        pathlib.Path(name).mkdir()
    numpy.save("text/x_train_000000.npy", random.integers(0, SHAPE["vocab_size"], 1 << 17, dtype=numpy.uint16))
    lengths = random.integers(40, 200, 600)
    total = int(lengths.sum())
    numpy.save("chats/x_train_000000.npy", random.integers(0, SHAPE["vocab_size"], total, dtype=numpy.uint16))
    numpy.save("chats/x_train_000000.mask.npy", numpy.ones(total, dtype=numpy.uint8))
    numpy.save("chats/x_train_000000.index.npy", numpy.concatenate([[0], lengths.cumsum()]).astype(numpy.uint64))
    parts = numpy.full(3 * 100, 128)
    numpy.save("pairs/x_train_000000.npy", random.integers(0, SHAPE["vocab_size"], int(parts.sum()), dtype=numpy.uint16))
    numpy.save("pairs/x_train_000000.index.npy", numpy.concatenate([[0], parts.cumsum()]).astype(numpy.uint64))


folders()
shape = {f"model.{key}": value for key, value in SHAPE.items()}
run("pretrain", "base", shape | {"data.path": "text", "train.max_steps": 1, "checkpoint.save": True, "train.micro_batch_size": 1})
base = ("--init-from", "runs/base/checkpoints/latest")
ways = {
    "pretrain": ("pretrain", {"data.path": "text"}),
    "sft, packed": ("sft", {"data.path": "chats"}),
    "sft, LoRA": ("sft", {"data.path": "chats", "lora.enabled": True}),
    "dpo": ("dpo", {"data.path": "pairs"}),
}
print(f"{'':12} {'kept':10} {'peak memory':>12} {'s a step':>9}   losses and gradient norms")
for way, (verb, values) in ways.items():
    first = None
    peaks, seconds = {kind: [] for kind in KINDS}, {kind: [] for kind in KINDS}
    for number in range(ROUNDS):
        for kind in KINDS:
            name = f"{way.replace(', ', '-')}-{kind}-{number}"
            records = run(verb, name, values | {"train.activation_checkpointing": kind}, *base)
            peaks[kind].append(max(record["memory_peak_bytes"] for record in records))
            seconds[kind] += [record["step_seconds"] for record in records[1:]]
            numbers = [(record["loss"], record["grad_norm"]) for record in records]
            first = first or numbers
            assert numbers == first, (way, kind)
    for kind in KINDS:
        print(f"{way:12} {kind:10} {statistics.median(peaks[kind]) / 1e6:9.0f} MB {statistics.median(seconds[kind]):9.2f}   equal, bit by bit")
    assert statistics.median(peaks["full"]) < statistics.median(peaks["none"]), way
