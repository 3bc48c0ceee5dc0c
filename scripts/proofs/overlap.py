"""usage: overlap.py BINARY: two ranks on a model of several buckets; how much of the communication backward hides."""

import json
import os
import re
import subprocess
import sys

binary = sys.argv[1]
shape = dict(dim=512, n_layers=8, n_heads=8, vocab_size=4096)
sets = [f"model.{key}={value}" for key, value in shape.items()]
sets += ["train.seq_len=128", "train.micro_batch_size=2", 'run.device="cpu"']
bench = [binary, "bench", "--json", "--steps", "12", *(part for setting in sets for part in ("--set", setting))]
environment = os.environ | {"OMP_NUM_THREADS": "1", "LLAMA_TRAIN_LOG": "debug"}


def measure(command):
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])["tokens_per_second"], done.stderr


def milliseconds(text):
    value, unit = re.fullmatch(r"([\d.]+)(\D+)", text).groups()
    return float(value) * {"ns": 1e-6, "µs": 1e-3, "ms": 1, "s": 1e3}[unit]


single, _ = measure(bench)
both, log = measure(["torchrun", "--no-python", "--standalone", "--nproc-per-node", "2", *bench])
pattern = r"(\d+) buckets; backward (\S+), communication (\S+), both at once (\S+) a step"
buckets, *times = re.search(pattern, log).groups()
backward, communication, overlap = map(milliseconds, times)
hidden = overlap / communication if communication else 0
print(f"{buckets} buckets; backward {backward:.0f} ms, communication {communication:.0f} ms, both at once {overlap:.0f} ms")
print(f"{100 * hidden:.0f} % of the communication is hidden by backward")
print(f"2 ranks of one thread: {both / single:.2f}x the tokens/s of one process of one thread")
sys.exit(not (int(buckets) >= 4 and hidden > 0.5))
