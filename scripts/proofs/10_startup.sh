#!/usr/bin/env bash
# Seconds to --help, to a configuration's error and to the first step of the quickstart, beside Python's imports
. scripts/python_env.sh reference
root=$PWD
cd "$WORK"
quickstart=("$LLAMA_TRAIN" pretrain --config "$root/configs/quickstart.toml" --set train.max_steps=1 --set validate.batches=1 --set generate.every=0)
"${quickstart[@]}" --set run.name=prepare >/dev/null 2>&1
python3 - "$REFERENCE_PYTHON" "${quickstart[@]}" <<'PYTHON'
import os, statistics, subprocess, sys, time

reference, *quickstart = sys.argv[1:]
binary = os.environ["LLAMA_TRAIN"]
commands = {
    "--help": [binary, "--help"],
    "a configuration's error": [binary, "pretrain", "--set", "optim.max_rl=1"],
    "the quickstart's first step, saved": quickstart,
    "python: import torch": [reference, "-c", "import torch"],
    "python: from transformers import AutoModelForCausalLM": [reference, "-c", "from transformers import AutoModelForCausalLM"],
}
times = {name: [] for name in commands}
for number in range(5):
    for name, command in commands.items():
        more = ["--set", f"run.name=r{number}"] if name.startswith("the") else []
        began = time.perf_counter()
        subprocess.run([*command, *more], capture_output=True)
        times[name].append(time.perf_counter() - began)
for name, seconds in times.items():
    print(f"{name}: {statistics.median(seconds):.2f} s")
PYTHON
