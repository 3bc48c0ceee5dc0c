"""Training speed of one model on one GPU, ours beside a plain PyTorch loop: BINARY MODEL OUT DEVICE.

Each cell has a time of its own and is written as it ends, so that a session that is cut keeps what it measured.
"""

import json
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
LLAMA3 = {"rope_theta": 500000.0, "vocab_size": 128256}
# Shape, batch, and how it is trained: that of the published figures it will stand beside.
MODELS = {
    "124m": {
        "shape": {"dim": 768, "n_layers": 12, "n_heads": 12, "n_kv_heads": 12, "ffn_hidden_dim": 2048, "rope_theta": 500000.0,
                  "vocab_size": 50304, "tie_embeddings": True},
        "rows": 32, "seq_len": 1024, "weights": "fp32", "recompute": "none", "steps": 30,
    },
    "1b": {
        "shape": LLAMA3 | {"dim": 2048, "n_layers": 16, "n_heads": 32, "n_kv_heads": 8, "ffn_hidden_dim": 8192, "tie_embeddings": True},
        "rows": 8, "seq_len": 2048, "weights": "fp32", "recompute": "none", "steps": 15,
    },
    "8b": {
        "shape": LLAMA3 | {"dim": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 8, "ffn_hidden_dim": 14336, "tie_embeddings": False},
        "rows": 1, "seq_len": 4096, "weights": "bf16", "recompute": "full", "steps": 10,
    },
    # Of no interest but to try this script on a CPU.
    "tiny": {
        "shape": {"dim": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "ffn_hidden_dim": 128, "rope_theta": 10000.0, "vocab_size": 512,
                  "tie_embeddings": True},
        "rows": 2, "seq_len": 64, "weights": "fp32", "recompute": "none", "steps": 3,
    },
}
# Of which all together stay below nine minutes.
CELL_SECONDS = {"124m": 65, "1b": 65, "8b": 66, "tiny": 120}
PROFILED = "ours, bf16, all kernels, profiled"
WARMUP = 4


def ours(binary, model, device, precision, kernels, whole_steps="off"):
    sets = {f"model.{key}": value for key, value in model["shape"].items()} | {
        "train.seq_len": model["seq_len"],
        "train.micro_batch_size": model["rows"],
        "train.weights": model["weights"],
        "train.activation_checkpointing": model["recompute"],
        "train.precision": precision,
        "train.kernels": kernels,
        "train.cuda_graphs": whole_steps,
        "train.async_transfers": whole_steps,
        "run.device": device,
    }
    flags = [flag for key, value in sets.items() for flag in ("--set", f"{key}={json.dumps(value)}")]
    return [binary, "bench", "--json", "--steps", str(model["steps"]), "--warmup", str(WARMUP), *flags]


def theirs(model, device, compiled, transformers=False):
    asked = model["shape"] | {
        "rows": model["rows"],
        "seq_len": model["seq_len"],
        "steps": model["steps"],
        "warmup": WARMUP,
        "weights": model["weights"],
        "recompute": model["recompute"] == "full",
        "compiled": compiled,
        "transformers": transformers,
        "device": device,
    }
    return [sys.executable, str(HERE / "gpu_peer.py"), json.dumps(asked)]


def cells(binary, model, device):
    yield "ours, bf16", ours(binary, model, device, "bf16", "auto")
    yield "PyTorch, bf16, compiled", theirs(model, device, compiled=True)
    yield "ours, bf16, all kernels", ours(binary, model, device, "bf16", "fused")
    if device == "cuda":
        yield "ours, bf16, all kernels, whole steps", ours(binary, model, device, "bf16", "fused", "on")
        yield "ours, fp8, all kernels, whole steps", ours(binary, model, device, "fp8", "fused", "on")
    yield "PyTorch, bf16, eager", theirs(model, device, compiled=False)
    yield "transformers, bf16", theirs(model, device, compiled=False, transformers=True)
    yield PROFILED, [*ours(binary, model, device, "bf16", "fused"), "--profile"]


def measure(command, seconds):
    begun = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"error": f"not done within {seconds} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    found = json.loads(done.stdout.strip().splitlines()[-1] if command[0] == sys.executable else done.stdout)
    kept = ("tokens_per_second", "peak_memory_bytes", "mfu", "device", "profile")
    return {key: found[key] for key in kept if found.get(key) is not None} | {"wall_seconds": round(time.monotonic() - begun, 1)}


def table(name, results):
    yield f"{name}, {results[0][1].get('device', 'one device')}:"
    yield ""
    yield "| | tokens/s | MFU | peak memory, GB | |"
    yield "| --- | --- | --- | --- | --- |"
    for cell, found in results:
        mfu = f"{100 * found['mfu']:.1f} %" if "mfu" in found else ""
        speed = f"{found['tokens_per_second']:.0f}" if "tokens_per_second" in found else ""
        memory = f"{found['peak_memory_bytes'] / 1e9:.1f}" if found.get("peak_memory_bytes") else ""
        yield f"| {cell} | {speed} | {mfu} | {memory} | {found.get('error', '')} |"
    profile = dict(results).get(PROFILED, {}).get("profile", [])[:20]
    if profile:
        yield ""
    for spent in profile:
        yield f"    {100 * spent['share']:5.1f} %  {spent['calls_per_step']:7.1f} calls  {spent['name'][:90]}"


def main(binary, name, out, device):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    results = []
    for cell, command in cells(binary, MODELS[name], device):
        results.append((cell, measure(command, CELL_SECONDS[name])))
        (out / f"gpu_bench_{name}.json").write_text(json.dumps(dict(results), indent=1) + "\n")
        text = "\n".join(table(name, results)) + "\n"
        (out / f"gpu_bench_{name}.md").write_text(text)
        print(cell, {key: value for key, value in results[-1][1].items() if key != "profile"}, flush=True)
    print(text)


main(*sys.argv[1:])
