"""Two steps of dpo and of distill, ours and PyTorch's with full logits [N, V], each on rows of many tokens and on rows of
two. The memory of a loss is the difference of the two peaks: what is beyond the program, weights, gradients and moments.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy

VOCAB, DIM, LAYERS, ROWS, LENGTH = 128_256, 512, 2, 8, 256
SHORT = 2
MOST = 0.25


def config():
    from transformers import LlamaConfig

    return LlamaConfig(
        hidden_size=DIM, num_hidden_layers=LAYERS, num_attention_heads=8, num_key_value_heads=4, intermediate_size=1408,
        vocab_size=VOCAB, max_position_embeddings=LENGTH, tie_word_embeddings=False,
    )  # fmt: skip


def make_model(folder, seed):
    import torch
    from transformers import LlamaForCausalLM

    torch.manual_seed(seed)
    model = LlamaForCausalLM(config())
    model.save_pretrained(folder)
    return model.num_parameters()


def make_data(length):
    """Pairs with a prompt of one token, and windows, of `length` inputs a row."""
    ids = numpy.random.default_rng(8).integers(0, VOCAB, (ROWS, length + 1)).astype(numpy.uint32)
    pairs, text = pathlib.Path(f"pairs-{length}"), pathlib.Path(f"text-{length}")
    pairs.mkdir()
    text.mkdir()
    pair = numpy.concatenate([numpy.concatenate([a, b[1:]]) for a, b in zip(ids[::2], ids[1::2])])
    offsets = [0]
    for _ in range(ROWS // 2):
        offsets += [offsets[-1] + 1, offsets[-1] + 1 + length, offsets[-1] + 1 + 2 * length]
    numpy.save(pairs / "p_train_000000.npy", pair)
    numpy.save(pairs / "p_train_000000.index.npy", numpy.array(offsets, dtype=numpy.uint64))
    numpy.save(text / "t_train_000000.npy", numpy.concatenate([ids[:, :-1].flatten(), ids[-1:, -1]]))


def full_logits(loss, length):
    """The same in PyTorch, as the formulas stand."""
    import torch
    import torch.nn.functional as F
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(2)
    load = lambda name: AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    model = load("model")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
    if loss == "dpo":
        ids = torch.from_numpy(numpy.load(f"pairs-{length}/p_train_000000.npy").astype(numpy.int64))
        ids = ids.view(ROWS // 2, 2 * length + 1)
        rows = torch.cat([ids[:, : length + 1], torch.cat([ids[:, :1], ids[:, length + 1 :]], 1)])
        reference = torch.zeros(ROWS)  # kept from before
    else:
        ids = torch.from_numpy(numpy.load(f"text-{length}/t_train_000000.npy").astype(numpy.int64))
        rows = ids.unfold(0, length + 1, length)
        teacher = load("teacher").eval().requires_grad_(False)
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        logits = model(rows[:, :-1], use_cache=False).logits
        targets = rows[:, 1:, None]
        if loss == "dpo":
            log_probs = F.log_softmax(logits, -1).gather(2, targets)[..., 0].sum(1) - reference
            chosen, rejected = log_probs.chunk(2)
            value = -F.logsigmoid(0.1 * (chosen - rejected)).mean()
        else:
            with torch.no_grad():
                p = F.log_softmax(teacher(rows[:, :-1], use_cache=False).logits / 2, -1)
            q = F.log_softmax(logits / 2, -1)
            kl = F.kl_div(q, p, log_target=True, reduction="sum") / targets.numel()
            value = 2 * kl + 0.5 * F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        value.backward()
        optimizer.step()


def ours(loss, length):
    settings = {
        "run.name": f"{loss}-{length}", "run.device": "cpu", "train.precision": "fp32", "train.seq_len": length,
        "train.max_steps": 2, "optim.max_lr": 1e-6, "checkpoint.save": False, "data.shuffle": False, "data.prefetch": 0,
    }  # fmt: skip
    if loss == "dpo":
        settings |= {"data.path": f"pairs-{length}", "train.micro_batch_size": ROWS // 2, "dpo.cache_reference": True}
    else:
        settings |= {"data.path": f"text-{length}", "train.micro_batch_size": ROWS, "distill.teacher": "teacher"}
    sets = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    arguments = [part for setting in sets for part in ("--set", setting)]
    return [os.environ["LLAMA_TRAIN"], loss, "--init-from", "model", *arguments]


def peak_bytes(command):
    with open("log", "w") as log:
        environment = os.environ | {"OMP_NUM_THREADS": "2"}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(pathlib.Path("log").read_text()[-3000:])
    return usage.ru_maxrss * 1024


def main():
    parameters = make_model("model", 1)
    make_model("teacher", 2)
    for length in (SHORT, LENGTH):
        make_data(length)
    print(f"vocabulary {VOCAB}, head [{VOCAB}, {DIM}], {parameters / 1e6:.0f}M parameters; {ROWS} rows of {LENGTH} tokens: "
          f"full logits are {ROWS * LENGTH * VOCAB * 4 / 1e9:.2f} GB")  # fmt: skip
    failed = False
    for loss in ("dpo", "distill"):
        above = {}
        for name, command in [
            ("ours", ours),
            ("full logits", lambda loss, length: [sys.executable, __file__, loss, str(length)]),
        ]:
            short, long = (peak_bytes(command(loss, length)) for length in (SHORT, LENGTH))
            above[name] = long - short
            print(f"{loss}, {name}: peak {long / 1e9:.2f} GB, with rows of {SHORT} tokens {short / 1e9:.2f} GB: "
                  f"the loss and the activations take {above[name] / 1e9:.2f} GB", flush=True)  # fmt: skip
        share = above["ours"] / above["full logits"]
        print(f"{loss}: {100 * share:.0f} % of the memory with full logits")
        failed |= share > MOST
    sys.exit(failed)


if len(sys.argv) == 3:
    full_logits(sys.argv[1], int(sys.argv[2]))
else:
    main()
