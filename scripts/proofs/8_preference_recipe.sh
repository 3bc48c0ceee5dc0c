#!/usr/bin/env bash
# Polite answers preferred, from nothing in minutes: held-out reward accuracy above 0.9, at least 40 of 50 new answers polite
began=$SECONDS
scripts/recipes/polite.sh "$WORK" 2>"$WORK/log.txt" || { tail -20 "$WORK/log.txt"; exit 1; }
echo "$((SECONDS - began)) s in all"
python3 - "$WORK" <<'PYTHON'
import json, pathlib, subprocess, sys

work = pathlib.Path(sys.argv[1])
lines = (work / "runs/polite/metrics.jsonl").read_text().splitlines()
val = [record for record in map(json.loads, lines) if record["split"] == "val"][-1]
print(f"held-out pairs: reward accuracy {val['rewards/accuracies']:.3f}, margin {val['rewards/margins']:.2f}")
count = lambda run: int(subprocess.run(["python3", "scripts/recipes/polite_count.py", work / f"data/polite/{run}.json"],
                                       capture_output=True, text=True).stdout.split()[1])  # fmt: skip
before, after = count("polite-chat"), count("polite")
print(f"polite answers to 50 new questions: {before} before, {after} after")
sys.exit(not (val["rewards/accuracies"] > 0.9 and after >= 40))
PYTHON
