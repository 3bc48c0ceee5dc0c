"""usage: debian_docs.py FOLDER OUT.jsonl: the text files below a folder, plain or gzipped, one a row."""

import gzip
import json
import pathlib
import sys

folder, out = map(pathlib.Path, sys.argv[1:])
out.parent.mkdir(parents=True, exist_ok=True)
with out.open("w") as file:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (".txt", ".gz"):
            data = path.read_bytes()
            text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
            file.write(json.dumps({"text": text}) + "\n")
