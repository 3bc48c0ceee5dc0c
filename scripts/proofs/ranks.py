"""What the proofs of many processes share: runs on the reference stream, under torchrun or not, and what they wrote."""

import array
import json
import os
import pathlib
import struct
import subprocess

BINARY = os.environ["LLAMA_TRAIN"]
FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures"


def pretrain(name, **settings):
    """The command of a run from the reference checkpoint, settings by their dotted keys with `__` for the dot."""
    fixed = {
        "run.name": name,
        "run.device": "cpu",
        "model.init_from": str(FIXTURES / "2_train_trace/init"),
        "data.path": str(FIXTURES / "9_stream/data"),
        "data.shuffle": False,
        "train.seq_len": 32,
        "optim.max_lr": 3e-3,
        "optim.min_lr": 3e-4,
        "optim.warmup_steps": 5,
    }
    fixed |= {key.replace("__", "."): value for key, value in settings.items()}
    sets = [f"{key}={json.dumps(value)}" for key, value in fixed.items()]
    return [BINARY, "pretrain", *(part for setting in sets for part in ("--set", setting))]


def torchrun(ranks, command, *options):
    return ["torchrun", "--no-python", "--standalone", "--nproc-per-node", str(ranks), *options, *command]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done


def records(name, split="train"):
    lines = pathlib.Path(f"runs/{name}/metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["split"] == split]


def column(name, field, split="train"):
    return [record[field] for record in records(name, split)]


def off(expected, found):
    assert len(expected) == len(found), (len(expected), len(found))
    return max(abs(a - b) / abs(a) for a, b in zip(expected, found))


def weights(name):
    """The float32 tensors of a run's newest checkpoint."""
    data = pathlib.Path(f"runs/{name}/checkpoints/latest/model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    tensors = {}
    for key, entry in header.items():
        if key != "__metadata__":
            assert entry["dtype"] == "F32"
            begin, end = entry["data_offsets"]
            tensors[key] = array.array("f", body[begin:end])
    return tensors


def distance(a, b):
    """The largest difference of two runs' weights."""
    a, b = weights(a), weights(b)
    assert a.keys() == b.keys()
    return max(abs(x - y) for key in a for x, y in zip(a[key], b[key]))
