"""usage: eval_speed_items.py TEXT ITEMS: Python's own manual as text, and 500 items made of it that are as long as HellaSwag's:
half of them like its captions, half like its how-tos."""

import json
import pathlib
import random
import re
import sys

from pydoc_data import topics

text = "\n\n".join(topics.topics[name] for name in sorted(topics.topics))
words = re.findall(r"\S+", re.sub(r"[*`=+|\-]{2,}", " ", text))
draw = random.Random(9)


def passage(least, most):
    length = draw.randint(least, most)
    start = draw.randrange(len(words) - length)
    return " ".join(words[start:start + length])


def item(index):
    context, ending = ((25, 45), (8, 20)) if index % 2 else ((60, 90), (20, 40))
    return {"ind": index, "activity_label": passage(1, 3), "ctx_a": passage(*context), "ctx_b": draw.choice(["", passage(1, 3)]),
            "endings": [passage(*ending) for _ in range(4)], "label": str(draw.randrange(4))}


pathlib.Path(sys.argv[1]).write_text(text)
pathlib.Path(sys.argv[2]).write_text("".join(json.dumps(item(index)) + "\n" for index in range(500)))
