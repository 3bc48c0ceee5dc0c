"""A shuffled epoch of 80 windows in three runs of different world sizes, against one run of one process."""

import sys

from ranks import column, off, pretrain, run, torchrun

SETTINGS = dict(data__shuffle=True, optim__schedule="constant", train__total_batch_tokens=128)

run(pretrain("single", **SETTINGS, train__micro_batch_size=4))
for ranks, rows, steps in ((2, 1, 6), (1, 2, 13), (4, 1, -1)):
    command = pretrain("changing", **SETTINGS, train__micro_batch_size=rows, train__max_steps=steps)
    run([*torchrun(ranks, command), "--resume", "latest"])
    print(f"{ranks} rank(s): {len(column('changing', 'loss'))} steps, epoch {column('changing', 'epoch')[-1]}")
apart = off(column("single", "loss"), column("changing", "loss"))
print(f"loss of {len(column('single', 'loss'))} steps against one process: {apart:.1e} relative")
sys.exit(apart >= 1e-6)
