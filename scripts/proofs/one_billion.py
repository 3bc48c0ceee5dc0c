"""Makes a random checkpoint of Llama 3.2 1B's shape (bf16, in shards), scores one window and exports it, and holds each
process's peak of resident memory against twice the model's size in the kind it computes or writes in.
Usage: one_billion.py FOLDER"""

import json
import os
import struct
import subprocess
import sys

import numpy
import torch

binary, folder = os.environ["LLAMA_TRAIN"], sys.argv[1]
DIM, LAYERS, HEADS, KV_HEADS, FFN, VOCAB = 2048, 16, 32, 8, 8192, 128256
KV = DIM // HEADS * KV_HEADS
PARAMETERS = 1_235_814_400
SHARDS = 4
SEQ_LEN = 64


def shapes():
    yield "model.embed_tokens.weight", [VOCAB, DIM]
    for layer in range(LAYERS):
        block = {
            "self_attn.q_proj": [DIM, DIM], "self_attn.k_proj": [KV, DIM], "self_attn.v_proj": [KV, DIM],
            "self_attn.o_proj": [DIM, DIM], "mlp.gate_proj": [FFN, DIM], "mlp.up_proj": [FFN, DIM],
            "mlp.down_proj": [DIM, FFN], "input_layernorm": [DIM], "post_attention_layernorm": [DIM],
        }
        for name, shape in block.items():
            yield f"model.layers.{layer}.{name}.weight", shape
    yield "model.norm.weight", [DIM]


def write_shard(path, tensors):
    header, offset = {}, 0
    for name, shape in tensors:
        size = 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors:
            numbers = torch.ones(shape) if len(shape) == 1 else torch.randn(shape) * 0.02
            file.write(numbers.bfloat16().view(torch.int16).numpy().tobytes())


def make(path):
    os.mkdir(path)
    tensors = list(shapes())
    weight_map, per_shard = {}, -(-len(tensors) // SHARDS)
    for number in range(SHARDS):
        part = tensors[number * per_shard : (number + 1) * per_shard]
        name = f"model-{number + 1:05}-of-{SHARDS:05}.safetensors"
        write_shard(f"{path}/{name}", part)
        weight_map |= {tensor: name for tensor, _ in part}
    json.dump({"metadata": {}, "weight_map": weight_map}, open(f"{path}/model.safetensors.index.json", "w"))
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": DIM, "intermediate_size": FFN,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": 64,
        "vocab_size": VOCAB, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": True,
        "max_position_embeddings": 131072, "torch_dtype": "bfloat16",
        "rope_scaling": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 8192},
    }
    json.dump(config, open(f"{path}/config.json", "w"))


def peak_of(arguments):
    process = subprocess.Popen([binary, *arguments], stdout=subprocess.PIPE)
    said = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, arguments
    return usage.ru_maxrss * 1024, said


def check(what, peak, bytes_each):
    size = PARAMETERS * bytes_each
    print(f"{what}: peak {peak / 1e9:.2f} GB, {peak / size:.2f}x the {size / 1e9:.2f} GB of its weights")
    assert peak <= 2 * size, what


model, data = f"{folder}/model", f"{folder}/data"
make(model)
os.mkdir(data)
numpy.save(f"{data}/d_val_000000.npy", numpy.random.default_rng(1).integers(0, VOCAB, SEQ_LEN + 1).astype(numpy.uint32))
_, said = peak_of(["plan", "--set", "model.preset=llama3.2-1b", "--json"])
assert json.loads(said)["parameters"] == PARAMETERS, said
for precision, bytes_each in [("bf16", 2), ("fp32", 4)]:
    score = ["eval", "--checkpoint", model, "--tasks", "loss", "--data", data, "--seq-len", str(SEQ_LEN), "--json"]
    peak, said = peak_of([*score, "--set", f'train.precision="{precision}"', "--set", 'run.device="cpu"'])
    print(f"loss of one window of random tokens: {json.loads(said)['loss']['loss']:.4f} ({precision})")
    check(f"eval in {precision}", peak, bytes_each)
for form, dtype, bytes_each in [("hf", "bf16", 2), ("meta", "bf16", 2), ("hf", "fp32", 4)]:
    out = f"{folder}/{form}-{dtype}"
    peak, _ = peak_of(["export", "--checkpoint", model, "--out", out, "--format", form, "--dtype", dtype])
    check(f"export as {form} in {dtype}", peak, bytes_each)
