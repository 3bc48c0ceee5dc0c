"""Three ranks, killed one by one at random moments until 20 kills have hit; survivors' messages are timed."""

import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import time

from ranks import column, pretrain, run, torchrun

KILLS, STEPS, RANKS = 20, 6000, 3
SETTINGS = dict(
    train__total_batch_tokens=96,
    train__micro_batch_size=1,
    train__max_steps=STEPS,
    checkpoint__every=100,
    validate__every=1000,
    train__shard_optimizer="SHARDED" in os.environ,
)
FIELDS = ("loss", "grad_norm", "lr", "tokens_seen")
random.seed(4)


def ranks_of(launcher):
    """Process ids by rank."""
    found = {}
    children = subprocess.run(["pgrep", "-P", str(launcher.pid)], capture_output=True, text=True).stdout.split()
    for child in children:
        try:
            environment = pathlib.Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        found |= {int(entry[5:]): int(child) for entry in environment if entry.startswith(b"RANK=")}
    return found


def step():
    try:
        return len(column("killed", "loss"))
    except (OSError, ValueError):
        return 0


run(torchrun(RANKS, pretrain("undisturbed", **SETTINGS)))
log = open("log", "w")
command = torchrun(RANKS, pretrain("killed", **SETTINGS), "--max-restarts", str(KILLS + 5))
launcher = subprocess.Popen(
    [*command, "--resume", "latest"],
    stdout=log,
    stderr=subprocess.STDOUT,
    env=os.environ | {"OMP_NUM_THREADS": "1"},
)
kills, seconds, errors = 0, [], 0
while launcher.poll() is None and kills < KILLS:
    time.sleep(random.uniform(1.5, 5))
    ranks = ranks_of(launcher)
    if len(ranks) < RANKS:
        continue
    victim = random.choice(sorted(ranks))
    before, at = step(), time.monotonic()
    os.kill(ranks[victim], signal.SIGKILL)
    kills += 1
    text = f"rank {victim} does not answer"
    while time.monotonic() - at < 20 and launcher.poll() is None:
        said = pathlib.Path("log").read_text()[errors:]
        if text in said or "store is gone" in said or "has gone" in said:
            seconds.append(time.monotonic() - at)
            break
        time.sleep(0.05)
    errors = len(pathlib.Path("log").read_text())
    print(f"kill {kills}: rank {victim} after step {before}", flush=True)
launcher.wait(timeout=600)
print(f"{kills} kills, torchrun's exit code {launcher.returncode}")
same = all(column("undisturbed", field) == column("killed", field) for field in FIELDS)
same &= column("undisturbed", "loss", "val") == column("killed", "loss", "val")
print(f"metrics of {STEPS} steps equal to the undisturbed run's: {same}")
if seconds:
    print(f"from kill to a survivor's message: median {statistics.median(seconds):.1f} s, longest {max(seconds):.1f} s ({len(seconds)} seen)")
sys.exit(not (kills == KILLS and launcher.returncode == 0 and same and seconds and max(seconds) < 10))
