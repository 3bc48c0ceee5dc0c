"""usage: eval_speed.py ITEMS CHECKPOINT: times lm-eval (hf) and llama-train on the same items, in turns.

Two times each. "Evaluation": theirs is everything behind the questions' texts (tokenizing and scoring), ours the same. "Whole":
theirs the evaluation and loading the model, but not Python's imports; ours the process from its start to its end. Of the batch
sizes theirs takes the one that is fastest on the first items.
"""

import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

os.environ["HF_DATASETS_CACHE"] = str(pathlib.Path("datasets").resolve())
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import lm_eval_tasks
import torch

THREADS, ROUNDS = 2, 3
BATCH_SIZES = [1, 4, 16, 64]
items, checkpoint = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
torch.set_num_threads(THREADS)


class Stopwatch:
    """How long the model's answers took, tokenizing included."""

    def __init__(self, model):
        self.seconds = 0.0
        inner = model.loglikelihood

        def timed(*arguments, **options):
            before = time.monotonic()
            answers = inner(*arguments, **options)
            self.seconds = time.monotonic() - before
            return answers

        model.loglikelihood = timed


def theirs(batch_size, limit=None):
    """Seconds of the evaluation and of the whole, accuracies, and the sums of each item."""
    before = time.monotonic()
    model = lm_eval_tasks.open_model(checkpoint, batch_size=batch_size)
    watch = Stopwatch(model)
    splits = {split: str(items) for split in ("train", "validation", "test")}
    results, samples = lm_eval_tasks.evaluate(model, [lm_eval_tasks.local("hellaswag", splits, pathlib.Path.cwd())], limit)
    whole = time.monotonic() - before
    sums = [[float(answer[0]) for answer in sample["filtered_resps"]] for sample in samples["hellaswag"]]
    return watch.seconds, whole, lm_eval_tasks.numbers(results["hellaswag"]), sums


def ours():
    command = [os.environ["LLAMA_TRAIN"], "eval", "--json", "--checkpoint", checkpoint, "--tasks", "hellaswag"]
    command += ["--task-data", f"hellaswag={items}", "--details", "details.jsonl"]
    command += ["--set", "run.device=cpu", "--set", f"run.threads={THREADS}"]
    before = time.monotonic()
    done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    whole = time.monotonic() - before
    evaluation = sum(float(seconds) for seconds in re.findall(r"hellaswag: .* in ([\d.]+) s", done.stderr))
    lines = map(json.loads, pathlib.Path("details.jsonl").read_text().splitlines())
    sums = [[ending["sum_logprob"] for ending in line["endings"]] for line in lines]
    return evaluation, whole, json.loads(done.stdout)["hellaswag"], sums


trials = {size: theirs(size, limit=50)[0] for size in BATCH_SIZES}
best = min(trials, key=trials.get)
print(f"lm-eval, first 50 items, seconds by batch size: { {size: round(seconds, 2) for size, seconds in trials.items()} }")
ratios, wholes = [], []
for number in range(ROUNDS):
    other, mine = theirs(best), ours()
    apart = max(abs(a - b) for one, two in zip(other[3], mine[3], strict=True) for a, b in zip(one, two, strict=True))
    assert apart < 1e-3, apart
    assert all(abs(other[2][name] - mine[2][name]) < 1e-9 for name in other[2] if name != "alias")
    ratios.append(other[0] / mine[0])
    wholes.append(other[1] / mine[1])
    print(f"round {number + 1}: evaluation lm-eval {other[0]:.2f} s, llama-train {mine[0]:.2f} s: {ratios[-1]:.2f} times; whole "
          f"{other[1]:.2f} s, {mine[1]:.2f} s: {wholes[-1]:.2f} times; sums {apart:.1e} apart, acc {mine[2]['acc']}")
print(f"median of {ROUNDS}: evaluation {statistics.median(ratios):.2f} times, whole {statistics.median(wholes):.2f} times as fast "
      f"(lm-eval with batch size {best}, {THREADS} threads each)")
sys.exit(0 if statistics.median(ratios) >= 3 else 1)
