"""usage: memory.py TOKENIZER...: prepares inputs of every shape with each tokenizer, and states the peak memory."""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

LIMIT = 1000
TEXT = 100_000_000

random.seed(3)
letters = "etaoinshrdlucmfwypvbgkjqxz"
words = ["".join(random.choices(letters, range(26, 0, -1), k=random.randint(2, 9))) for _ in range(20_000)]
prose = " ".join(random.choices(words, k=200_000))
han = "，".join("".join(chr(random.randint(0x4E00, 0x9FA0)) for _ in range(9)) for _ in range(100_000))


def filled(path, text, size):
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(size // len(text.encode())):
            file.write(text)


def one_long_text(folder):
    filled(folder / "long.txt", prose + "\n", 20 * TEXT)


def texts_in_a_row(folder):
    for index in range(6):
        filled(folder / f"{index}.txt", prose + "\n", TEXT)


def han_texts_in_a_row(folder):
    for index in range(3):
        filled(folder / f"{index}.txt", han, TEXT)


def long_rows(folder):
    with open(folder / "rows.jsonl", "w") as file:
        for index in range(5):
            text = (f"{index} " + prose) * (TEXT // len(prose))
            file.write(json.dumps({"text": text}) + "\n")


def short_rows(folder):
    with open(folder / "rows.jsonl", "w") as file:
        for index in range(20 * TEXT // 2000):
            start = index * 2000 % (len(prose) - 2000)
            file.write(json.dumps({"text": f"{index} {prose[start : start + 2000]}"}) + "\n")


def peak_of(tokenizer, *more):
    shutil.rmtree("out", ignore_errors=True)
    command = [os.environ["LLAMA_TRAIN"], "prep-data", "pretrain", "--out", "out", "--input", "in"]
    command += ["--tokenizer", tokenizer, "--workers", "2", *more]
    with open("log", "w") as log:
        process = subprocess.Popen(command, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(pathlib.Path("log").read_text()[-1000:])
    return usage.ru_maxrss * 1024 / 1e6


shapes = {
    "one text of 2 GB": (one_long_text, []),
    "six texts of 100 MB": (texts_in_a_row, []),
    "three texts of 100 MB without a space or line break": (han_texts_in_a_row, []),
    "five rows of 100 MB": (long_rows, []),
    "2 GB in rows of 2 kB, --dedup exact": (short_rows, ["--dedup", "exact"]),
}
tokenizers = [name for name in sys.argv[1:] if pathlib.Path(name).exists()] + ["tiktoken:cl100k_base"]
highest = 0
for shape, (make, more) in shapes.items():
    shutil.rmtree("in", ignore_errors=True)
    os.mkdir("in")
    make(pathlib.Path("in"))
    for tokenizer in tokenizers:
        if make is one_long_text and tokenizer.startswith("tiktoken:"):
            continue  # only a text that Llama 3's pattern splits is cut
        before = time.monotonic()
        peak = peak_of(tokenizer, *more)
        name = pathlib.Path(tokenizer).name
        print(f"{shape}, {name}: {time.monotonic() - before:.0f} s, peak {peak:.0f} MB", flush=True)
        highest = max(highest, peak)
sys.exit(highest >= LIMIT)
