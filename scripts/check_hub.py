"""Python's clients of the Hub beside llama-train, against one server: files byte for byte, rows one by one, one cache."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy

TOKENIZER = Path(sys.argv[1])
OURS, THEIRS = Path("ours").resolve(), Path("theirs").resolve()
TOKEN = "hf_member_0123456789"  # the server's
# Before the libraries read it.
os.environ.update(HF_HOME=str(THEIRS), HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1")

import datasets  # noqa: E402
import huggingface_hub  # noqa: E402
from huggingface_hub.errors import GatedRepoError  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

datasets.disable_progress_bars()
count = 0


def llama_train(*arguments, home=OURS, code=0, **variables):
    """Runs it, and gives what it said."""
    environment = {**os.environ, "HF_HOME": str(home), **variables}
    done = subprocess.run([os.environ["LLAMA_TRAIN"], *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stderr}"
    return done.stderr


def out():
    global count
    count += 1
    return f"out-{count}"


def files(home, repo):
    """What a cache has of a repository: path in the snapshot → bytes."""
    [snapshot] = (home / "hub" / repo / "snapshots").iterdir()
    return {str(path.relative_to(snapshot)): path.read_bytes() for path in snapshot.rglob("*") if path.is_file()}


def model(name, revision=None, python_first=False, **variables):
    at = "" if revision is None else f"@{revision}"
    fetch = [
        lambda: llama_train("export", "--checkpoint", f"hf://{name}{at}", "--out", out(), **variables),
        lambda: huggingface_hub.snapshot_download(name, revision=revision, token=variables.get("HF_TOKEN")),
    ]
    for client in reversed(fetch) if python_first else fetch:
        client()
    repo = "models--" + name.replace("/", "--")
    ours, theirs = files(OURS, repo), files(THEIRS, repo)
    assert ours and all(theirs[path] == content for path, content in ours.items()), name
    for kind in ("refs", "blobs"):
        left, right = (sorted(os.listdir(home / "hub" / repo / kind)) for home in (OURS, THEIRS))
        assert set(left) <= set(right), f"{name}: {kind}: {left} is not among {right}"
    size = sum(map(len, ours.values()))
    print(f"{name}{at}: {len(ours)} of {len(theirs)} files ({size} bytes) equal byte for byte, blobs and refs named alike")
    # Each finds what the other has fetched, without a network.
    llama_train("export", "--checkpoint", f"hf://{name}{at}", "--out", out(), home=THEIRS, HF_HUB_OFFLINE="1")
    found = Path(huggingface_hub.snapshot_download(name, revision=revision, cache_dir=OURS / "hub", local_files_only=True))
    assert {str(path.relative_to(found)) for path in found.rglob("*") if path.is_file()} == set(ours)
    for path in ours:
        huggingface_hub.hf_hub_download(name, path, revision=revision, cache_dir=OURS / "hub", local_files_only=True)
    print(f"{name}{at}: llama-train reads Python's cache offline, Python reads llama-train's with local_files_only")


def gated():
    said = llama_train("export", "--checkpoint", "hf://org/gated", "--out", out(), code=1)
    assert "is gated; accept its licence" in said, said
    try:
        huggingface_hub.snapshot_download("org/gated", token=False)
        raise AssertionError("Python was let in")
    except GatedRepoError:
        print("org/gated: refused to both without a token")
    model("org/gated", HF_TOKEN=TOKEN)


def documents(folder):
    """The texts behind a prepared folder's tokens."""
    manifest = json.loads((Path(folder) / "manifest.json").read_text())
    tokenizer = Tokenizer.from_file(str(TOKENIZER / "tokenizer.json"))
    shards = [numpy.load(Path(folder) / shard["file"]) for shard in manifest["splits"]["train"]["shards"]]
    ids = numpy.concatenate(shards)
    starts = numpy.flatnonzero(ids == manifest["separator"])
    return [tokenizer.decode(part[1:].tolist(), skip_special_tokens=False) for part in numpy.split(ids, starts)[1:]]


def rows(name, config=None, split=None, home=OURS, **variables):
    """What prep-data takes for the rows of a split."""
    at = "" if config is None else f":{config}" + ("" if split is None else f"/{split}")
    folder = out()
    arguments = ["--tokenizer", str(TOKENIZER), "--val-fraction", "0", "--out", folder]
    llama_train("prep-data", "pretrain", "--input", f"hf://datasets/{name}{at}", *arguments, home=home, **variables)
    return documents(folder)


def dataset(name, config=None):
    sets = datasets.load_dataset(name, config)
    for split, theirs in sets.items():
        ours = rows(name, config or "default", split)
        assert ours == theirs["text"], f"{name} {config} {split}: {len(ours)} and {len(theirs)} rows"
    shown = ", ".join(f"{split} {len(theirs)}" for split, theirs in sets.items())
    print(f"datasets/{name}{'' if config is None else ':' + config}: rows equal one by one ({shown})")


def defaults_of_cards():
    for name in ("org/cards", "org/packed"):
        theirs = datasets.load_dataset(name, split="train")
        assert rows(name) == theirs["text"]
        print(f"datasets/{name}: both take the card's default configuration ({len(theirs)} rows)")


def shared_data():
    before = rows("org/plain", "default", "train")
    theirs = rows("org/plain", "default", "train", home=THEIRS, HF_HUB_OFFLINE="1")
    assert before == theirs
    print("datasets/org/plain: llama-train prepares offline from what datasets.load_dataset fetched")


def main():
    print(f"huggingface_hub {huggingface_hub.__version__}, datasets {datasets.__version__}")
    model("org/tiny")
    model("org/sharded", "v1")
    model("org/cut")  # the server cuts off whoever comes first
    model("org/cut-for-python", python_first=True)
    gated()
    for name, config in (("org/cards", "small"), ("org/cards", "one"), ("org/packed", "packed"), ("org/packed", "folder")):
        dataset(name, config)
    defaults_of_cards()
    for name in ("org/plain", "layout/folders", "layout/words", "layout/shards", "layout/all"):
        dataset(name)
    shared_data()


main()
