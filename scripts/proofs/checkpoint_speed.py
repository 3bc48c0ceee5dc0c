"""Times checkpoints of one model written by one rank and by two, in turn with `dd`."""

import os
import pathlib
import re
import statistics
import subprocess
import time

import numpy

from ranks import BINARY, torchrun

SHAPE = dict(dim=1024, n_layers=20, n_heads=16, n_kv_heads=8, vocab_size=32000, ffn_hidden_dim=3072, tie_embeddings=False)
ROUNDS = 3
WAYS = {"one rank": (1, False), "two ranks": (2, False), "two ranks, sharded": (2, True)}

pathlib.Path("data").mkdir()
numpy.save("data/x_train_000000.npy", numpy.arange(4096, dtype=numpy.uint32) % 32000)


def save(name, ranks, sharded):
    """Seconds and bytes of the run's second checkpoint: the first finds no freed memory."""
    settings = {f"model.{key}": value for key, value in SHAPE.items()}
    settings |= {"run.name": name, "run.device": "cpu", "data.path": "data", "train.seq_len": 16, "train.micro_batch_size": 1}
    settings |= {"train.max_steps": 2, "train.shard_optimizer": sharded, "checkpoint.every": 1, "checkpoint.keep_last": 1}
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={str(value).lower() if value in (True, False) else value}")]
    command = [BINARY, "pretrain", *sets]
    environment = os.environ | {"LLAMA_TRAIN_LOG": "debug", "OMP_NUM_THREADS": str(2 // ranks)}
    done = subprocess.run(torchrun(ranks, command) if ranks > 1 else command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    seconds = [float(found) for found in re.findall(r"saved \S+ in ([0-9.]+)s", done.stderr)]
    folder = pathlib.Path(f"runs/{name}/checkpoints/latest").resolve()
    size = sum(file.stat().st_size for file in folder.iterdir())
    subprocess.run(["rm", "-r", f"runs/{name}"], check=True)
    return seconds[-1], size


def dd(size):
    began = time.perf_counter()
    subprocess.run(["dd", "if=/dev/zero", "of=plain", "bs=4M", f"count={size >> 22}", "conv=fsync"], capture_output=True, check=True)
    seconds = time.perf_counter() - began
    os.remove("plain")
    return seconds


found = {name: [] for name in [*WAYS, "dd with fsync"]}
for number in range(ROUNDS):
    for name, (ranks, sharded) in WAYS.items():
        seconds, size = save(f"run{number}", ranks, sharded)
        found[name].append(seconds)
    found["dd with fsync"].append(dd(size))
print(f"a checkpoint of {size / 1e9:.2f} GB; {ROUNDS} rounds, medians (all)")
for name, seconds in found.items():
    median = statistics.median(seconds)
    print(f"{name:20} {median:6.2f} s {size / 1e6 / median:7.0f} MB/s  ({', '.join(f'{second:.2f}' for second in seconds)})")
