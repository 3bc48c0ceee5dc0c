"""usage: wandb_runs.py SERVER FIXTURES: our runs and the official client's, told to one server."""

import atexit
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

from wandb_server import KEY, Server

DOWN_SECONDS = 60
fixtures = pathlib.Path(sys.argv[2])
server = Server(sys.argv[1])
wandb = str(pathlib.Path(sys.executable).with_name("wandb"))
env = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "LLAMA_TRAIN__"))}
env |= {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "HOME": os.getcwd(), "OMP_NUM_THREADS": "1"}
env |= {"WANDB_ERROR_REPORTING": "false", "LLAMA_TRAIN_LOG": "debug"}


def train(name, mode, *settings, resume=False):
    given = [f"run.name={name}", f"wandb.mode={mode}", "wandb.project=proof", "run.device=cpu", "train.seq_len=32"]
    given += [f'model.init_from="{fixtures}/2_train_trace/init"', f'data.path="{fixtures}/9_stream/data"']
    given += ["train.micro_batch_size=4", "train.total_batch_tokens=1024", "optim.warmup_steps=5", *settings]
    command = [os.environ["LLAMA_TRAIN"], "pretrain", *(["--resume"] if resume else [])]
    for setting in given:
        command += ["--set", setting]
    log = open(f"{name}.log", "a")
    process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    atexit.register(process.kill)  # whatever fails, no run is left behind
    return process


def records(name):
    path = pathlib.Path(f"runs/{name}/metrics.jsonl")
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def wait_for(condition, what, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in {seconds} s"
        time.sleep(0.2)


def rows_of(name):
    """metrics.jsonl as W&B's rows: one a step."""
    rows = {}
    for record in records(name):
        row = rows.setdefault(record["step"], {})
        row |= {f"{record['split']}/{key}": value for key, value in record.items() if key not in ("step", "split", "time")}
    return rows


def compare(name, what, missing_at_most=0):
    run, rows = server.run(name), rows_of(name)
    told = {row["_step"]: {key: value for key, value in row.items() if "/" in key} for row in run["history"]}
    assert list(told) == sorted(told), "the steps are not in order"
    missing = len(rows) - len(told)
    assert 0 <= missing <= missing_at_most, f"{missing} of {len(rows)} rows are missing"
    unequal = [step for step in told if told[step] != rows[step]]
    assert not unequal, f"step {unequal[0]}: {told[unequal[0]]} is not {rows[unequal[0]]}"
    numbers = sum(len(row) for row in told.values())
    print(f"{what}: {len(told)} rows, {numbers} numbers, all as in metrics.jsonl ({missing} rows fewer)")
    return run


def sync(folder):
    done = subprocess.run([wandb, "sync", str(folder)], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "Finished syncing" in done.stderr + done.stdout, done.stdout + done.stderr


def offline_folder(name):
    (folder,) = pathlib.Path(f"runs/{name}/wandb").iterdir()
    return folder


def official(mode):
    script = (
        f"import wandb; run = wandb.init(project='proof', name='official-{mode}', mode='{mode}', config={{'lr': 0.5}})\n"
        "for step in range(1, 51): run.log({'train/loss': 1 / step}, step=step)\nrun.finish(exit_code=3)"
    )
    subprocess.run([sys.executable, "-c", script], env=env, check=True, capture_output=True, timeout=120)
    if mode == "offline":
        (folder,) = pathlib.Path("wandb").glob("offline-run-*")
        sync(folder)
    run = server.run(f"official-{mode}")
    assert [row["train/loss"] for row in run["history"]] == [1 / step for step in range(1, 51)]
    assert (run["complete"], run["exitcode"], run["config"]["lr"]) == (True, 3, 0.5)
    print(f"official client, {mode}: 50 rows, configuration, exit code 3")


def rows_told(name):
    runs = [run for run in server.state()["runs"].values() if run["displayName"] == name]
    return len(runs[0]["history"]) if runs else 0


def whole():
    assert train("whole", "offline", "train.max_steps=400", "validate.every=50").wait() == 0
    sync(offline_folder("whole"))
    run = compare("whole", "our offline run, wandb sync")
    assert (run["complete"], run["exitcode"], run["config"]["train"]["seq_len"]) == (True, 0, 32)
    assert run["summary"]["train/loss"] == run["history"][-1]["train/loss"] and run["events"] and run["output"]


def cut():
    process = train("cut", "offline", "train.max_steps=100000", "validate.every=10", "checkpoint.every=100")
    wait_for(lambda: len(records("cut")) > 150, "150 steps")
    process.kill()
    process.wait()
    sync(offline_folder("cut"))
    compare("cut", "our run cut by kill -9, wandb sync", missing_at_most=1)
    steps = max(rows_of("cut")) + 100
    assert train("cut", "offline", f"train.max_steps={steps}", "validate.every=10", resume=True).wait() == 0
    (folder,) = pathlib.Path("runs/cut/wandb").iterdir()
    print(f"resumed: the same run in the same folder, {len(rows_of('cut'))} steps")


def longest_steps(name):
    """Wall time from line to line of metrics.jsonl, in ms: the median and the longest, the first ten left out."""
    times = [record["time"] for record in records(name) if record["split"] == "train"][10:]
    gaps = [1e3 * (after - before) for before, after in zip(times, times[1:])]
    return statistics.median(gaps), max(gaps)


def outage():
    forever = ("train.max_steps=1000000", "checkpoint.every=0")
    quiet = train("quiet", "disabled", *forever)  # beside it, so that both meet the same machine
    process = train("outage", "online", *forever)
    wait_for(lambda: rows_told("outage") > 0, "first lines")
    server.faults(["429", "500", "garbage", "silence", "lost"])
    wait_for(lambda: rows_told("outage") > 200, "lines after the faults")
    before = rows_told("outage")
    server.kill()
    time.sleep(DOWN_SECONDS)
    server.start()
    wait_for(lambda: rows_told("outage") > before + 100, "lines after the outage")
    quiet.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143 == quiet.wait()
    run = compare("outage", f"our online run, 429, 500, garbage, silence, a lost answer, {DOWN_SECONDS} s down")
    assert (run["complete"], run["exitcode"]) == (True, 143)
    log = pathlib.Path("outage.log").read_text()
    said = [line for line in log.splitlines() if "wandb" in line]
    print("\n".join(said))
    waited = next(line for line in said if "training waited" in line).split()[-3]
    assert waited.endswith("µs") or float(waited.removesuffix("ms")) < 50, waited
    (median, longest), (quiet_median, quiet_longest) = longest_steps("outage"), longest_steps("quiet")
    print(f"steps: median {median:.1f} ms, longest {longest:.1f} ms; without W&B, at the same time: {quiet_median:.1f} and {quiet_longest:.1f} ms")
    # What the machine's other work does to a step, it does to the run without W&B too.
    assert longest - median < 50 + 1.5 * (quiet_longest - quiet_median), "a step waited"


def secret():
    found = subprocess.run(["grep", "-rlF", KEY, "runs", "store.json", *pathlib.Path().glob("*.log")], capture_output=True)
    assert not found.stdout, found.stdout
    print("the key is in none of our files and logs")


for part in (lambda: official("online"), lambda: official("offline"), whole, cut, outage, secret):
    part()
