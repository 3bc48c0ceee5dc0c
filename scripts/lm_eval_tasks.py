"""lm-evaluation-harness, offline, over files of our own: its task definitions as they are installed, their data sets replaced
by local files."""

import os

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="",
                  LMEVAL_LOG_LEVEL="ERROR")
import collections
import json
import pathlib
import warnings

import datasets
import lm_eval
import torch
import transformers
from lm_eval.api.metrics import aggregate_subtask_metrics, pooled_sample_stderr
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
datasets.disable_progress_bars()

MANAGER = TaskManager()
ONE_FILE = ["hellaswag", "winogrande", "arc_easy", "arc_challenge", "piqa"]


def open_model(checkpoint, **options):
    return HFLM(pretrained=str(checkpoint), dtype="float32", device="cpu", **options)


def local(task, files, work, **fields):
    """A file with the installed task over local files."""
    installed = MANAGER.task_index[task].yaml_path
    config = {"include": str(installed), "task": task, "dataset_path": "json", "dataset_kwargs": {"data_files": files}, **fields}
    path = work / f"{task}.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    return str(path)


def mmlu_tasks(folder, work):
    """One task a subject, as the harness has them, each over its own rows."""
    tasks = []
    rows = {split: [json.loads(line) for line in open(folder / f"{split}.jsonl")] for split in ("test", "dev")}
    for subject in sorted({row["subject"] for row in rows["test"]}):
        files = {}
        for split in rows:
            path = work / f"{subject}_{split}.jsonl"
            own = [row for row in rows[split] if row["subject"] == subject]
            path.write_text("".join(json.dumps(row) + "\n" for row in own))
            files[split] = str(path)
        tasks.append(local(f"mmlu_{subject}", files, work, num_fewshot=5))
    return tasks


class Watched:
    """Remembers the token ids of every request."""

    def __init__(self, model):
        self.requests = {}
        inner = model._loglikelihood_tokens

        def watch(requests, *rest, **options):
            for text, context, continuation in requests:
                self.requests[text] = (context, continuation)
            return inner(requests, *rest, **options)

        model._loglikelihood_tokens = watch


def evaluate(model, tasks, limit=None):
    """Results and samples of tasks, by the task's name."""
    with torch.inference_mode():
        found = lm_eval.simple_evaluate(
            model=model, tasks=tasks, task_manager=MANAGER, batch_size=model.batch_size, log_samples=True,
            limit=limit, bootstrap_iters=1000, random_seed=0, numpy_random_seed=0, torch_random_seed=0)
    return found["results"], found["samples"]


def run(model, items, work):
    """Every benchmark over `items`: what `llama-train eval` calls it, with its numbers and its items in the file's order."""
    watched = Watched(model)
    answers = {}
    for name in ONE_FILE:
        file = str(items / f"{name}.jsonl")
        splits = {split: file for split in ("train", "validation", "test")}  # it opens all that it knows
        results, samples = evaluate(model, [local(name, splits, work)])
        answers[name] = {**numbers(results[name]), "items": [item(sample, watched) for sample in samples[name]]}
    results, samples = evaluate(model, mmlu_tasks(items / "mmlu", work))
    answers["mmlu"] = whole_mmlu(results, samples, items, watched)
    return answers


def numbers(result):
    return {key.removesuffix(",none"): value for key, value in result.items() if key.startswith("acc")}


def whole_mmlu(results, samples, items, watched):
    """The group's mean and error, by the harness's own functions; items in the order of the file."""
    values = [results[name]["acc,none"] for name in samples]
    errors = [results[name]["acc_stderr,none"] for name in samples]
    sizes = [len(found) for found in samples.values()]
    queues = {name.removeprefix("mmlu_"): collections.deque(sorted(found, key=lambda sample: sample["doc_id"]))
              for name, found in samples.items()}
    subjects = [json.loads(line)["subject"] for line in open(items / "mmlu/test.jsonl")]
    return {
        "acc": aggregate_subtask_metrics(values, sizes, True),
        "acc_stderr": float(pooled_sample_stderr(errors, sizes)),
        "items": [item(queues[subject].popleft(), watched) for subject in subjects],
    }


def item(sample, watched):
    arguments = sample["arguments"]
    pairs = arguments.values() if isinstance(arguments, dict) else arguments
    pairs = [tuple(pair.values()) if isinstance(pair, dict) else tuple(pair) for pair in pairs]
    tokens = [watched.requests[pair[:2]] for pair in pairs]
    return {
        "sums": [float(answer[0]) for answer in sample["filtered_resps"]],
        "contexts": [context for context, _ in tokens],
        "endings": [continuation for _, continuation in tokens],
        **{metric: sample[metric] for metric in ("acc", "acc_norm") if metric in sample},
    }
