"""Every cut of 8 rows into ranks x accumulated x rows against one process, and two ranks against transformers' curve."""

import json
import sys

from ranks import FIXTURES, column, distance, off, pretrain, run, torchrun

ROWS, STEPS = 8, 30
SETTINGS = dict(train__max_steps=STEPS, train__total_batch_tokens=ROWS * 32, validate__every=10)

run(pretrain("single", **SETTINGS, train__micro_batch_size=ROWS))
holds = True
for ranks in (1, 2, 4):
    for rows in (1, 2, 4, 8):
        if ranks * rows > ROWS:
            continue
        name = f"{ranks}x{ROWS // ranks // rows}x{rows}"
        # Compared bit by bit after every step, by the run itself.
        settings = SETTINGS | dict(train__micro_batch_size=rows, train__check_replicas_every=1)
        run(torchrun(ranks, pretrain(name, **settings)))
        loss, norm = (off(column("single", field), column(name, field)) for field in ("loss", "grad_norm"))
        val = off(column("single", "loss", "val"), column(name, "loss", "val"))
        apart = distance("single", name)
        print(f"ranks x accumulated x rows = {name}: loss {loss:.1e}, grad_norm {norm:.1e}, val {val:.1e}, weights {apart:.1e}")
        holds &= loss < 1e-6 and norm < 1e-5 and val < 1e-6 and apart < 1e-5

expected = json.loads((FIXTURES / "9_stream/expected.json").read_text())["pretrain"]["f32"]
run(torchrun(2, pretrain("stream", train__max_steps=20, train__total_batch_tokens=128, train__micro_batch_size=2)))
loss, norm = (off([step[field] for step in expected], column("stream", field)) for field in ("loss", "grad_norm"))
print(f"9_stream with 2 ranks, against transformers: loss {loss:.1e}, grad_norm {norm:.1e}")
sys.exit(not (holds and loss < 1e-5 and norm < 1e-4))
