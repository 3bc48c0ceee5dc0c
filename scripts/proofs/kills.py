"""usage: kills.py TOKENIZER VERB: prepares the same rows uninterrupted and killed ten times, and compares the folders."""

import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import time

KILLS = 10
random.seed()
words = [f"word{i}" for i in range(5000)]
verb = sys.argv[2]


def say(most):
    return " ".join(random.choices(words, k=random.randint(1, most)))


def row():
    if verb == "pretrain":
        return {"text": say(400)}
    if verb == "instruct":
        return {"messages": [{"role": role, "content": say(100)} for role in ("user", "assistant") * 2]}
    return {"prompt": say(130), "chosen": say(130), "rejected": say(130)}


with open("input.jsonl", "w") as file:
    for _ in range(120_000):
        file.write(json.dumps(row()) + "\n")
print(f"input of {os.path.getsize('input.jsonl') / 1e6:.0f} MB")


def start(out, workers):
    command = [os.environ["LLAMA_TRAIN"], "prep-data", verb, "--input", "input.jsonl", "--out", out]
    command += ["--tokenizer", sys.argv[1], "--workers", str(workers), "--shard-tokens", "2000000"]
    command += ["--val-fraction", "0.05", "--set", "tokenizer.backend=stable"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def digest(out):
    files = sorted(pathlib.Path(out).iterdir())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


before = time.monotonic()
assert start("whole", 2).wait() == 0
seconds = time.monotonic() - before
print(f"uninterrupted: {seconds:.0f} s, {len(digest('whole'))} files")
moments, kept = [], []
for workers in random.sample([1, 2, 5, 1, 2, 5, 1, 2, 5, 1], KILLS):
    process = start("killed", workers)
    moment = random.uniform(0.05, seconds / 10)  # so that it cannot end before the tenth
    time.sleep(moment)
    assert process.poll() is None, "it ended before it was killed"
    process.kill()
    process.wait()
    moments.append(f"{moment:.1f}")
    marker = pathlib.Path("killed/preparing.json")
    reached = json.loads(marker.read_text())["reached"] if marker.exists() else None
    kept.append(reached["place"][0]["tally"]["rows"] if reached else 0)
print(f"killed after {', '.join(moments)} s; rows kept each time: {kept}")
for workers in (5, 1):
    assert start("killed", workers).wait() == 0  # the second finds it done
assert kept == sorted(kept)
same = digest("whole") == digest("killed")
for workers in (1, 5):
    assert start(f"workers{workers}", workers).wait() == 0
    same = same and digest(f"workers{workers}") == digest("whole")
print(f"byte-identical, also with 1 and 5 workers: {same}")
sys.exit(not same)
