"""usage: tokenizing_speed.py CORPUS.jsonl TOKENIZER.json: times us, tiktoken and tokenizers in turns, and compares ids.

All three use the same vocabulary as tiktoken ranks and as the tokenizer.json that llama-train makes of them. Ours is
the whole of prep-data (reading JSON, writing shards, hashing); theirs is only the encoding of texts in memory.
"""

import base64
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import numpy as np
import tiktoken
import tokenizers

THREADS = 2
ROUNDS = 3
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def ranks_of(path):
    """The vocabulary of a byte-level tokenizer.json as bytes by rank."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    byte_of = {chr(byte): byte for byte in visible} | {chr(256 + i): byte for i, byte in enumerate(others)}
    vocab = json.load(open(path))["model"]["vocab"]
    return {bytes(byte_of[c] for c in token): rank for token, rank in vocab.items()}


corpus, trained = map(pathlib.Path, sys.argv[1:])
texts = [json.loads(line)["text"] for line in corpus.open()]
texts = [text for text in texts if text]
megabytes = sum(len(text.encode()) for text in texts) / 1e6
ranks = ranks_of(trained)
model = pathlib.Path("ranks.model")
ordered = sorted(ranks.items(), key=lambda item: item[1])
model.write_text("".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ordered))


def ours(backend, inputs=(corpus,)):
    shutil.rmtree("out", ignore_errors=True)
    command = [os.environ["LLAMA_TRAIN"], "prep-data", "pretrain", "--json", "--out", "out", "--input", *map(str, inputs)]
    command += ["--tokenizer", str(model), "--workers", str(THREADS), "--val-fraction", "0"]
    command += ["--set", f"tokenizer.backend={backend}"]
    before = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak, *(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))])
        except OSError:
            pass
        time.sleep(0.02)
    assert process.returncode == 0
    return time.monotonic() - before, peak


def read_ids():
    shards = sorted(pathlib.Path("out").glob("*.npy"))
    return np.concatenate([np.load(shard) for shard in shards])


def timed(work):
    before = time.monotonic()
    result = work()
    return time.monotonic() - before, result


reference = tiktoken.Encoding("ours", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
os.environ["RAYON_NUM_THREADS"] = str(THREADS)
seconds = {"tiktoken": [], "tokenizers": [], "stable": [], "auto": []}
memory, ids = {}, {}
hugging_face = None
for _ in range(ROUNDS):
    for backend in ("stable", "auto"):
        took, memory[backend] = ours(backend)
        seconds[backend].append(took)
        ids[backend] = read_ids()
    hugging_face = hugging_face or tokenizers.Tokenizer.from_file("out/tokenizer.json")
    took, expected = timed(lambda: reference.encode_ordinary_batch(texts, num_threads=THREADS))
    seconds["tiktoken"].append(took)
    took, encodings = timed(lambda: hugging_face.encode_batch_fast(texts, add_special_tokens=False))
    seconds["tokenizers"].append(took)

separator = int(ids["auto"][0])
whole = np.concatenate([np.array([separator, *row], dtype=np.uint32) for row in expected])
same = all(np.array_equal(ids[backend], whole) for backend in ids)
same_hf = all(a == b.ids for a, b in zip(expected, encodings))
print(f"{len(texts)} documents, {megabytes:.1f} MB, {len(whole)} tokens, vocabulary of {len(ranks)}, {THREADS} threads")
rate = {name: megabytes / statistics.median(values) for name, values in seconds.items()}
for name, label in [
    ("tiktoken", "Python tiktoken, encode_ordinary_batch"),
    ("tokenizers", "Hugging Face tokenizers, encode_batch_fast"),
    ("stable", "prep-data, released libraries"),
    ("auto", "prep-data, fast path"),
]:
    peak = f", peak {memory[name]:.0f} MB" if name in memory else ""
    print(f"{label}: {rate[name]:.1f} MB/s, {rate[name] / rate['tiktoken']:.2f}x tiktoken{peak}")
copies = [pathlib.Path(f"copy{index}.jsonl") for index in range(math.ceil(2000 / megabytes))]
for copy in copies:
    os.link(corpus, copy) if os.stat(corpus).st_dev == os.stat(".").st_dev else shutil.copy(corpus, copy)
took, peak = ours("auto", copies)
print(f"{len(copies)} times as much, {len(copies) * megabytes / 1e3:.1f} GB: {took:.0f} s, peak {peak:.0f} MB")
print(f"ids equal to tiktoken's on every document: prep-data {same}, tokenizers {same_hf}")
sys.exit(not (same and same_hf and rate["stable"] >= 1.3 * rate["tiktoken"] and rate["auto"] >= 3 * rate["tiktoken"] and peak < 1000))
