"""usage: llama3_ids.py TOKENIZER.model TEXT: prep-data's ids against Python tiktoken's on the text and on mixed documents."""

import json
import os
import pathlib
import random
import subprocess
import sys

import numpy as np
import tiktoken
from tiktoken.load import load_tiktoken_bpe

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
END_OF_TEXT = 128001
PARTS = [
    "The quick brown fox", " jumps", " над ленивой собакой", " 東京は日本の首都です。", " مرحبا بالعالم", " 한국어", " ไทย", " हिन्दी",
    "👩‍👩‍👧‍👦", "🇩🇪", "é", "e\u0301", " 12345678", " 3.14", "\n", "\n\n", "\r\n", "\t\t", "    ", " \u00a0", "\u2028",
    "fn main() { let x = &mut y[0]; }", " don't", " WE'LL", "_snake_case", "<|eot_id|>", "</s>", "\0", "!!!", "/* x */",
    "\u200b", "ﬁ", "Ⅷ", "½", "٣", "def f(x):\n    return x ** 2\n", "<div class=\"a\">", "a" * 300, " " * 200, "\n" * 50,
]

model, text = map(pathlib.Path, sys.argv[1:])
random.seed(0)
documents = [text.read_text()] + ["".join(random.choices(PARTS, k=random.randint(1, 300))) for _ in range(500)]
with open("documents.jsonl", "w") as file:
    file.writelines(json.dumps({"text": document}) + "\n" for document in documents)
reference = tiktoken.Encoding("llama3", pat_str=PATTERN, mergeable_ranks=load_tiktoken_bpe(str(model)), special_tokens={})
expected = np.concatenate([[END_OF_TEXT, *reference.encode_ordinary(document)] for document in documents])
same = []
for backend in ("auto", "stable"):
    command = [os.environ["LLAMA_TRAIN"], "prep-data", "pretrain", "--input", "documents.jsonl", "--out", backend]
    command += ["--tokenizer", str(model), "--val-fraction", "0", "--set", f"tokenizer.backend={backend}"]
    subprocess.run(command, check=True, capture_output=True)
    same.append(np.array_equal(np.load(f"{backend}/data_train_000000.npy"), expected))
    print(f"{backend}: {len(documents)} documents, {len(expected)} tokens, equal to tiktoken's: {same[-1]}")
sys.exit(not all(same))
