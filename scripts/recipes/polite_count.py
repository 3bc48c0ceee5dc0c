"""usage: polite_count.py ANSWERS.json: how many of what `generate --json` wrote is polite."""

import json
import pathlib
import sys

from polite_data import CLOSERS, OPENERS

path = pathlib.Path(sys.argv[1])
texts = [completion["text"].strip() for completion in json.loads(path.read_text())["completions"]]
is_polite = [text.startswith(tuple(OPENERS)) and text.endswith(tuple(CLOSERS)) for text in texts]
print(f"{path.stem}: {sum(is_polite)} of {len(texts)} answers are polite, for example: {texts[0]!r}, {texts[1]!r}")
