"""usage: perf report ... --sort dso,sym | profile_table.py NAME: the shares of a training step by what takes them."""

import re
import sys

# The first that fits counts: a word in the library's or the function's name, and what it stands for.
GROUPS = [
    ("[JIT]", "matrix products (oneDNN)"),
    ("flash_attention", "attention"),
    ("mkl_blas", "products inside attention (MKL)"),
    ("exponentials", "cross-entropy"),
    ("max_of", "cross-entropy"),
    ("forward_row", "SwiGLU and norms"),
    ("backward_row", "SwiGLU and norms"),
    ("add_row", "SwiGLU and norms"),
    ("scale_row", "SwiGLU and norms"),
    ("turn_row", "rotation"),
    ("adam", "AdamW"),
    ("norm_kernel", "gradient norm"),
    ("[kernel", "the system (pages, scheduling)"),
    ("libgomp", "waiting for the other thread"),
]


def main():
    shares = {}
    for line in sys.stdin:
        found = re.match(r"\s*([\d.]+)%\s+(\S.*)", line)
        if found:
            what = next((name for word, name in GROUPS if word in found[2]), "the rest")
            shares[what] = shares.get(what, 0.0) + float(found[1])
    print(f"model {sys.argv[1]}: share of the CPU time of 14 steps")
    for what, share in sorted(shares.items(), key=lambda entry: -entry[1]):
        print(f"  {share:5.1f} %  {what}")


if __name__ == "__main__":
    main()
