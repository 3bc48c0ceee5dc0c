"""Puts the output of a proof into scripts/bench/RESULTS.md, in place of an earlier one."""

import datetime
import os
import pathlib
import re
import sys

name, output = sys.argv[1], pathlib.Path(sys.argv[2]).read_text().strip()
results = pathlib.Path("scripts/bench/RESULTS.md")
section = (
    f"### prove {name}\n\n{datetime.date.today()}, commit {os.environ['COMMIT']}\n\n"
    f"```\n{output}\n```\n"
)
text = results.read_text()
pattern = re.compile(rf"### prove {re.escape(name)}\n.*?(?=\n### |\n## |\Z)", re.S)
if pattern.search(text):
    text = pattern.sub(lambda _: section.rstrip("\n") + "\n", text)
else:
    text = text.rstrip("\n") + "\n\n" + section
results.write_text(text)
