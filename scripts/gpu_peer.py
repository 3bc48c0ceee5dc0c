"""A plain PyTorch loop on random tokens, for `gpu_check.sh bench`: Llama in bf16, SDPA, fused AdamW, torch.compile if asked;
or transformers' model in the same loop.

SHAPE is JSON: dim, n_layers, n_heads, n_kv_heads, ffn_hidden_dim, vocab_size, tie_embeddings, rope_theta, rows, seq_len, steps,
warmup, weights ("fp32": autocast over fp32 master weights; "bf16": pure), recompute, compiled, device, transformers (whether
the model is theirs). Prints one JSON object.
"""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint


def rotate(x, cos, sin):
    a, b = x.float().chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(x.dtype)


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.heads, self.kv_heads = shape["n_heads"], shape["n_kv_heads"]
        dim, self.head = shape["dim"], shape["dim"] // shape["n_heads"]
        self.attention_norm, self.ffn_norm = nn.RMSNorm(dim, 1e-5), nn.RMSNorm(dim, 1e-5)
        self.qkv = nn.Linear(dim, (self.heads + 2 * self.kv_heads) * self.head, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)
        self.w13 = nn.Linear(dim, 2 * shape["ffn_hidden_dim"], bias=False)
        self.w2 = nn.Linear(shape["ffn_hidden_dim"], dim, bias=False)

    def forward(self, x, cos, sin):
        rows, length, dim = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(rows, length, -1, self.head).transpose(1, 2)
        q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], 1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv_heads)
        x = x + self.wo(seen.transpose(1, 2).reshape(rows, length, dim))
        gate, value = self.w13(self.ffn_norm(x)).chunk(2, -1)
        return x + self.w2(F.silu(gate) * value)


class Llama(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.recompute = shape["recompute"]
        self.embedding = nn.Embedding(shape["vocab_size"], shape["dim"])
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape["n_layers"]))
        self.norm = nn.RMSNorm(shape["dim"], 1e-5)
        self.head = nn.Linear(shape["dim"], shape["vocab_size"], bias=False)
        if shape["tie_embeddings"]:
            self.head.weight = self.embedding.weight
        half = shape["dim"] // shape["n_heads"] // 2
        frequencies = shape["rope_theta"] ** (-torch.arange(half, dtype=torch.float32) / half)
        angles = torch.arange(shape["seq_len"])[:, None] * frequencies
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, ids, targets):
        x = self.embedding(ids)
        for block in self.blocks:
            x = checkpoint(block, x, self.cos, self.sin, use_reentrant=False) if self.recompute else block(x, self.cos, self.sin)
        return F.cross_entropy(self.head(self.norm(x)).float().flatten(0, 1), targets.flatten())


class Transformers(nn.Module):
    """transformers' own Llama of the shape."""

    def __init__(self, shape):
        super().__init__()
        import transformers

        config = transformers.LlamaConfig(
            hidden_size=shape["dim"], num_hidden_layers=shape["n_layers"], num_attention_heads=shape["n_heads"],
            num_key_value_heads=shape["n_kv_heads"], intermediate_size=shape["ffn_hidden_dim"], vocab_size=shape["vocab_size"],
            tie_word_embeddings=shape["tie_embeddings"], rope_theta=shape["rope_theta"], max_position_embeddings=shape["seq_len"],
            use_cache=False, attn_implementation="sdpa",
        )
        self.model = transformers.LlamaForCausalLM(config)
        if shape["recompute"]:
            self.model.gradient_checkpointing_enable()

    def forward(self, ids, targets):
        return F.cross_entropy(self.model(ids).logits.float().flatten(0, 1), targets.flatten())


def main(shape):
    device = shape["device"]
    pure = shape["weights"] == "bf16"
    torch.set_float32_matmul_precision("high")
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16 if pure else torch.float32)
        if shape["transformers"]:
            model = Transformers(shape)
        else:
            model = Llama(shape)
            model.cos, model.sin = model.cos.float(), model.sin.float()
        ids = torch.randint(shape["vocab_size"], (shape["rows"], shape["seq_len"] + 1))
    torch.set_default_dtype(torch.float32)
    for weight in model.parameters():
        if weight.dim() > 1:
            nn.init.normal_(weight, std=0.02)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    run = torch.compile(model) if shape["compiled"] else model
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    seconds = []
    for step in range(shape["warmup"] + shape["steps"]):
        begun = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=not pure):
            loss = run(ids[:, :-1], ids[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        wait()
        seconds.append(time.perf_counter() - begun)
    median = statistics.median(seconds[shape["warmup"] :])
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else 0
    tokens = shape["rows"] * shape["seq_len"] / median
    print(json.dumps({"tokens_per_second": tokens, "peak_memory_bytes": peak, "first_seconds": seconds[0], "loss": loss.item()}))


main(json.loads(sys.argv[1]))
