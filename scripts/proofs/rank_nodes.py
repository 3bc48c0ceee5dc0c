"""usage: rank_nodes.py TWO_NODES.sh: the same run on one process and on two nodes, found in two ways."""

import sys

from ranks import column, off, pretrain, run

SETTINGS = dict(train__max_steps=30, train__total_batch_tokens=256)

run(pretrain("single", **SETTINGS, train__micro_batch_size=8))
holds = True
for rendezvous in ("static", "c10d"):
    run([sys.argv[1], rendezvous, "2", *pretrain(rendezvous, **SETTINGS, train__micro_batch_size=1)])
    apart = off(column("single", "loss"), column(rendezvous, "loss"))
    print(f"{rendezvous} rendezvous, 2 nodes x 2 ranks: {len(column(rendezvous, 'loss'))} steps, loss {apart:.1e}")
    holds &= apart < 1e-6
sys.exit(not holds)
