"""usage: dpo_speed.py TOKENIZER: the same pairs in the same batches through dpo and through TRL's DPOTrainer, in turns.

Model M: dim 512, 8 layers, 8 heads, 4 key/value heads, feed-forward 1408, vocabulary 32000; fp32, two threads. Both keep
the reference's log-probabilities, which are computed before the steps that are timed.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import time

PAIRS, BATCH, WARM_UP, ROUNDS = 32, 4, 2, 3
VOCAB, LONGEST = 32000, 352
FACTOR = 1.5


def make_model(folder):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    config = LlamaConfig(
        hidden_size=512, num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=4, intermediate_size=1408,
        vocab_size=VOCAB, max_position_embeddings=1024, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    print(f"model M: {model.num_parameters() / 1e6:.1f}M parameters")
    model.save_pretrained(folder)


def make_pairs(path):
    """Prompts of 32 to 160 tokens, answers of 32 to 192."""
    random.seed(8)
    ids = lambda least, most: [random.randrange(VOCAB) for _ in range(random.randint(least, most))]
    pairs = [dict(prompt_ids=ids(32, 160), chosen_ids=ids(32, 192), rejected_ids=ids(32, 192)) for _ in range(PAIRS)]
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return pairs


def through_trl():
    """Seconds of each step, as the trainer's callbacks see it, on stdout."""
    import torch
    from datasets import Dataset
    from torch.utils.data import SequentialSampler
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    torch.set_num_threads(2)
    pairs = [json.loads(line) for line in open("pairs.jsonl")]
    ends = []

    class Clock(TrainerCallback):
        def on_train_begin(self, *_, **__):
            ends.append(time.monotonic())

        def on_step_end(self, *_, **__):
            ends.append(time.monotonic())

    class Trainer(DPOTrainer):
        def _prepare_dataset(self, dataset, *_, **__):
            return dataset  # it is tokenized

        def _get_train_sampler(self, dataset=None):
            return SequentialSampler(self.train_dataset)

    config = DPOConfig(
        output_dir="trl", beta=0.1, precompute_ref_log_probs=True, per_device_train_batch_size=BATCH, num_train_epochs=1,
        learning_rate=1e-6, max_length=None, gradient_checkpointing=False, bf16=False, use_cpu=True, report_to=[],
        logging_steps=1, save_strategy="no", disable_tqdm=True, dataloader_num_workers=0,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained("model", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[2])
    tokenizer.pad_token = tokenizer.eos_token
    trainer = Trainer(
        model=model, args=config, train_dataset=Dataset.from_list(pairs), processing_class=tokenizer, callbacks=[Clock()]
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    steps = [end - begin for begin, end in zip(ends, ends[1:])]
    print(json.dumps({"seconds": steps, "losses": losses}))


def run(command):
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-4000:])
    return done.stdout


def through_ours(name):
    settings = {
        "run.name": name, "run.device": "cpu", "data.path": "data", "data.shuffle": False, "train.seq_len": LONGEST,
        "train.micro_batch_size": BATCH, "train.precision": "fp32", "dpo.cache_reference": True, "optim.max_lr": 1e-6,
        "checkpoint.save": False,
    }  # fmt: skip
    sets = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    arguments = [part for setting in sets for part in ("--set", setting)]
    run([os.environ["LLAMA_TRAIN"], "dpo", "--init-from", "model", *arguments])
    lines = pathlib.Path(f"runs/{name}/metrics.jsonl").read_text().splitlines()
    steps = [record for record in map(json.loads, lines) if record["split"] == "train"]
    return [step["step_seconds"] for step in steps], [step["loss"] for step in steps]


def main(tokenizer):
    make_model("model")
    pairs = make_pairs(pathlib.Path("pairs.jsonl"))
    run([os.environ["LLAMA_TRAIN"], "prep-data", "preference", "--pretokenized", "--input", "pairs.jsonl", "--out", "data",
         "--val-fraction", "0", "--tokenizer", "tiktoken:r50k_base"])  # fmt: skip
    manifest = pathlib.Path("data/manifest.json")
    manifest.unlink()  # any tokenizer's: the ids are random
    tokens = [2 * len(p["prompt_ids"]) + len(p["chosen_ids"]) + len(p["rejected_ids"]) for p in pairs[WARM_UP * BATCH :]]
    seconds = {"ours": 0.0, "TRL": 0.0}
    for number in range(ROUNDS):
        ours, our_losses = through_ours(f"round-{number}")
        trl = json.loads(run([sys.executable, __file__, "trl", tokenizer]).splitlines()[-1])
        assert len(ours) == len(trl["seconds"]) == PAIRS // BATCH, (len(ours), len(trl["seconds"]))
        off = max(abs(a - b) for a, b in zip(our_losses, trl["losses"]))
        assert off < 1e-3, (our_losses, trl["losses"])
        both = {"ours": sum(ours[WARM_UP:]), "TRL": sum(trl["seconds"][WARM_UP:])}
        for name, spent in both.items():
            seconds[name] += spent
        print(f"round {number + 1}: " + ", ".join(f"{name} {sum(tokens) / spent:.0f} tokens/s" for name, spent in both.items()), flush=True)
    factor = seconds["TRL"] / seconds["ours"]
    print(f"{ROUNDS} rounds of {sum(tokens)} tokens: dpo takes {seconds['ours']:.1f} s, TRL {seconds['TRL']:.1f} s: {factor:.2f}x")
    sys.exit(factor < FACTOR)


if sys.argv[1] == "trl":
    through_trl()
else:
    main(sys.argv[1])
