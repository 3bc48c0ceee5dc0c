#!/usr/bin/env bash
# Rank-8 adapters beside whole weights on one model and data: trained parameters, moments, checkpoint, tokens/s at least equal
cd "$WORK"
python3 "$OLDPWD/scripts/recipes/backwards_data.py" data/backwards >/dev/null
recipe="$OLDPWD/configs/sft/backwards"
shape=(--set model.dim=512 --set model.n_layers=8 --set model.n_heads=8 --set model.n_kv_heads=4 --set model.ffn_hidden_dim=1408)
"$LLAMA_TRAIN" pretrain --config "$recipe/1-base.toml" "${shape[@]}" --set train.max_steps=1 --set run.name=base 2>log.txt
"$LLAMA_TRAIN" prep-data instruct --config "$recipe/2-chat.toml" --input data/backwards/chats.jsonl 2>>log.txt >/dev/null
tune() { # round, name, more settings
  "$LLAMA_TRAIN" sft --config "$recipe/2-chat.toml" --init-from runs/base/checkpoints/latest --set run.name="$2-$1" \
    --set train.max_steps=8 --set generate.every=0 --set validate.every=0 --set validate.batches=1 "${@:3}" 2>>log.txt >/dev/null
}
for round in 1 2 3 4 5; do
  tune $round whole
  tune $round adapters --set lora.enabled=true --set lora.rank=8 --set lora.alpha=16
done
python3 - <<'PYTHON'
import json, pathlib, statistics, sys

def speed(run):
    records = map(json.loads, pathlib.Path(f"runs/{run}/metrics.jsonl").read_text().splitlines())
    speeds = [record["tokens_per_second"] for record in records if record["split"] == "train"]
    return statistics.median(speeds[1:])

def elements(run, file):
    raw = pathlib.Path(f"runs/{run}/checkpoints/latest/{file}.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    count = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            first, last = tensor["data_offsets"]
            count += last - first
    return count, len(raw)

rounds = range(1, 6)
for name, file in (("whole", "model"), ("adapters", "adapter_model")):
    weights, size = elements(f"{name}-1", file)
    moments, _ = elements(f"{name}-1", "optimizer")
    rate = statistics.median(speed(f"{name}-{number}") for number in rounds)
    print(f"{name}: {weights // 4:,} parameters trained, moments {moments / 1e6:.2f} MB, weights in a checkpoint {size / 1e6:.2f} MB, "
          f"{rate:.0f} tokens/s")
ratio = statistics.median(speed(f"adapters-{number}") / speed(f"whole-{number}") for number in rounds)
print(f"tokens/s of adapters over whole weights: {ratio:.2f} (median of {len(rounds)} rounds, interleaved)")
sys.exit(ratio < 1.0)
PYTHON
