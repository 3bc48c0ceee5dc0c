"""Holds `llama-train eval` against lm-evaluation-harness, item by item.  Usage: check_lm_eval.py FOLDER [--record]"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

work = pathlib.Path(sys.argv[1]).resolve()
os.environ["HF_DATASETS_CACHE"] = str(work / "datasets")
fixtures = pathlib.Path("tests/fixtures").resolve()
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lm_eval_tasks

TASKS = ["hellaswag", "winogrande", "arc_easy", "arc_challenge", "piqa", "mmlu"]
# Five-shot prompts of this little vocabulary are long; with the short one they lose their beginnings.
LENGTHS = [4096, 256]
LOG_LIKELIHOOD = 1e-3


def checkpoint(length):
    """The little model, told that it reads so many tokens: rotary positions have no table."""
    folder = work / f"reads-{length}"
    shutil.copytree(fixtures / "1_checkpoints/a_mha_untied", folder)
    for file in (fixtures / "tokenizer").iterdir():
        if file.name.startswith("tokenizer") and file.suffix == ".json":
            shutil.copy(file, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": length}))
    return folder


def llama_train(*arguments):
    command = [os.environ["LLAMA_TRAIN"], *map(str, arguments)]
    done = subprocess.run(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{command}: {done.stderr}")
    return json.loads(done.stdout)


def task_data():
    items = fixtures / "benchmarks"
    places = {name: items / ("mmlu" if name == "mmlu" else f"{name}.jsonl") for name in TASKS}
    return [flag for name, path in places.items() for flag in ("--task-data", f"{name}={path}")]


def ours(folder):
    """Numbers, and per task the items with sums and tokens."""
    flags = ["--json", "--tasks", ",".join(TASKS), *task_data()]
    found = llama_train("eval", "--checkpoint", folder, "--details", "details.jsonl", *flags)
    llama_train("prep-data", "eval", "--tokenizer", folder, "--out", folder / "prepared", *flags)
    details = [json.loads(line) for line in (work / "details.jsonl").read_text().splitlines()]
    for name in TASKS:
        lines = (folder / "prepared" / f"{name}.jsonl").read_text().splitlines()
        tokens = [json.loads(line) for line in lines]
        scored = [line for line in details if line["task"] == name]
        found[name]["items"] = [{**scores, **ids} for scores, ids in zip(
            [{"scores": line} for line in scored], tokens, strict=True)]
    return found


def compare(name, mine, theirs):
    """How many tokens are the same, how far the sums are apart at most, and whether all that is counted is equal."""
    tokens, apart, same = 0, 0.0, True
    for one, other in zip(mine["items"], theirs["items"], strict=True):
        scores = one["scores"]
        for ending, score, context_ids, ids, total in zip(
                one["endings"], scores["endings"], other["contexts"], other["endings"], other["sums"], strict=True):
            same &= ending["tokens"] == ids and one["contexts"][ending["context"]] == context_ids
            same &= score["num_tokens"] == len(ids)
            tokens += len(ids) + len(context_ids)
            apart = max(apart, abs(score["sum_logprob"] - total))
        same &= other["acc"] == float(scores["pred"] == scores["label"])
        same &= other.get("acc_norm", 0) == float(scores["pred_norm"] == scores["label"]) or "acc_norm" not in other
    for metric in ("acc", "acc_stderr", "acc_norm", "acc_norm_stderr"):
        if (metric in mine) != (metric in theirs) or abs(mine.get(metric, 0) - theirs.get(metric, 0)) > 1e-9:
            print(f"{name}: {metric} {mine.get(metric)}, lm-eval {theirs.get(metric)}")
            same = False
    return tokens, apart, same


def record(found):
    """What the tests read: everything for the longest, and what loses its beginning for the shortest."""
    lines = []
    for length, tasks in found.items():
        kept = tasks if length == LENGTHS[0] else {"mmlu": tasks["mmlu"]}
        for task in kept.values():
            task["items"] = [{"sums": [round(total, 5) for total in item["sums"]],
                              "tokens": [len(ids) for ids in item["endings"]],
                              **{key: item[key] for key in ("acc", "acc_norm") if key in item}} for item in task["items"]]
        entries = [f"  {json.dumps(name)}: {json.dumps(task)}" for name, task in kept.items()]
        lines.append(f' "{length}": {{\n' + ",\n".join(entries) + "\n }")
    (fixtures / "benchmarks/expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main():
    good, found = True, {}
    row = "{:>6}  {:<14} {:>5} {:>8} {:>12}  {:>8} {:>8} {:>9}  {}"
    print(row.format("reads", "benchmark", "items", "tokens", "sums apart", "acc", "stderr", "acc_norm", "all the same"))
    for length in LENGTHS:
        folder = checkpoint(length)
        model = lm_eval_tasks.open_model(folder, batch_size=16)
        theirs = lm_eval_tasks.run(model, fixtures / "benchmarks", work)
        mine = ours(folder)
        for name in TASKS:
            tokens, apart, same = compare(name, mine[name], theirs[name])
            good &= same and apart < LOG_LIKELIHOOD
            task = theirs[name]
            norm = f"{task['acc_norm']:.4f}" if "acc_norm" in task else "-"
            print(row.format(length, name, len(task["items"]), tokens, f"{apart:.1e}", f"{task['acc']:.4f}",
                             f"{task['acc_stderr']:.4f}", norm, "yes" if same else "NO"))
        found[length] = theirs
    if "--record" in sys.argv:
        record(found)
    sys.exit(0 if good else 1)


main()
