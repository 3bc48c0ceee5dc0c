"""Makes models with llama-train, opens them with transformers and peft, and writes the logits of each to a folder below
FOLDER/cases, where a test of ours finds them; compares the tokenizers' ids itself.  Usage: check_transformers.py FOLDER"""

import json
import os
import pathlib
import subprocess
import sys
import warnings

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="")
import numpy
import torch
import transformers
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
warnings.simplefilter("ignore")
work = pathlib.Path(sys.argv[1]).resolve()
fixtures = pathlib.Path("tests/fixtures").resolve()
cases = work / "cases"
cases.mkdir()


def llama_train(*arguments):
    subprocess.run([os.environ["LLAMA_TRAIN"], *map(str, arguments)], check=True, cwd=work, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


def opened(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def write_case(name, model, checkpoint, adapter=None):
    """What llama-train is to reproduce with this checkpoint (and adapter)."""
    case = cases / name
    case.mkdir()
    ids = torch.from_numpy(numpy.random.default_rng(3).integers(0, model.config.vocab_size, (2, 48)))
    with torch.no_grad():
        logits = model(ids).logits
    numpy.save(case / "input_ids.npy", ids.numpy().astype(numpy.int32))
    numpy.save(case / "logits.npy", logits.numpy())
    json.dump({"checkpoint": str(checkpoint), "adapter": adapter and str(adapter)}, open(case / "case.json", "w"))


def run_of_ours():
    """A short training, from text to a checkpoint."""
    settings = {
        "prepare.input": [str(pathlib.Path("src").resolve() / "**/*.rs"), str(pathlib.Path("README.md").resolve())],
        "prepare.vocab_size": 600, "prepare.val_fraction": 0.1, "data.path": "data", "run.name": "run",
        "model.dim": 64, "model.n_layers": 3, "model.n_heads": 4, "model.n_kv_heads": 2, "model.max_seq_len": 128,
        "train.max_steps": 20, "train.seq_len": 64, "run.device": "cpu",
    }
    given = [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    llama_train("pretrain", *given)
    return work / "runs/run/checkpoints/latest"


def check_ids(checkpoint):
    """Documents as prep-data tokenizes them, against AutoTokenizer of the checkpoint's own files."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    texts = [path.read_text() for path in sorted(pathlib.Path("src").rglob("*.rs"))[:40]]
    texts += ["", " ", "\n\n  x", "naïve 北京 👩‍👩‍👧 \u202e", "<|end_of_text|> 1234567 don't I'LL"]
    rows = work / "texts.jsonl"
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    llama_train("prep-data", "pretrain", "--input", rows, "--tokenizer", checkpoint, "--out", "ids",
                "--val-fraction", "0")
    found = numpy.load(work / "ids/data_train_000000.npy").astype(int).tolist()
    expected = []
    for text in filter(None, texts):
        expected += [tokenizer.eos_token_id]
        # User text never makes a special token here; transformers needs to be told.
        expected += tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert found == expected, "ids differ"
    print(f"AutoTokenizer: {len(expected)} ids of {len(texts)} texts are the same")


def main():
    ours = run_of_ours()
    check_ids(ours)
    write_case("a run of ours", opened(ours), ours)
    base, adapter = fixtures / "1_checkpoints/b_gqa_tied", fixtures / "5_lora"
    over = ["--checkpoint", base, "--adapter", adapter]
    llama_train("export", *over, "--out", "adapter")
    write_case("an adapter of ours", PeftModel.from_pretrained(opened(base), work / "adapter").eval(), base, adapter)
    llama_train("export", *over, "--merge-lora", "--out", "merged")
    write_case("a merged model of ours", opened(work / "merged"), base, adapter)
    meta = fixtures / "8_meta"
    llama_train("export", "--checkpoint", meta, "--out", "from-meta")
    write_case("Meta's as ours", opened(work / "from-meta"), meta)
    for name in ["c_gqa_rope_llama3", "d_sharded_bf16"]:
        source = fixtures / "1_checkpoints" / name
        llama_train("export", "--checkpoint", source, "--out", name)
        write_case(name, opened(work / name), source)


main()
