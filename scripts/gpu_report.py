"""What gpu_check.sh found about the kernels, as one JSON and one markdown file: FOLDER OUT."""

import json
import pathlib
import sys


def microseconds(seconds):
    return "" if seconds is None else f"{1e6 * seconds:.0f}"


def difference(value):
    return "not a number" if value is None else f"{value:.1e}"


def ratio(check):
    if check["fused_seconds"] is None:
        return ""
    return f"{check['composed_seconds'] / check['fused_seconds']:.2f}"


def tables(found):
    yield f"Kernels against torch's own operations on {found['device']}, forward and backward:"
    yield ""
    yield "| operation | kind | cases | worst difference | at most | right | us | us, composed | times as fast |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for check in found["checks"]:
        cells = [check["operation"], check["kind"], check["cases"], difference(check["worst_difference"]), f"{check['limit']:.0e}"]
        cells += ["yes" if check["holds"] else "NO", microseconds(check["fused_seconds"]), microseconds(check["composed_seconds"])]
        yield "| " + " | ".join(map(str, [*cells, ratio(check)])) + " |"
    yield ""
    yield "The 20-step trace, worst relative difference from PyTorch's in fp32:"
    yield ""
    yield "| precision | kernels | loss | gradient's norm | within limits |"
    yield "| --- | --- | --- | --- | --- |"
    for trace in found["traces"]:
        right = "yes" if trace["holds"] else "NO"
        yield f"| {trace['precision']} | {trace['kernels']} | {trace['loss']:.1e} | {trace['grad_norm']:.1e} | {right} |"


def main(folder, out):
    text = (folder / "kernels.json").read_text()
    # Empty where the kernels could not be made, which stderr has said.
    found = json.loads(text) if text.strip() else {"device": "a device whose kernels could not be made", "checks": []}
    found["traces"] = [json.loads(line) for line in (folder / "traces.jsonl").read_text().splitlines()]
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu_check.json").write_text(json.dumps(found, indent=1) + "\n")
    text = "\n".join(tables(found)) + "\n"
    (out / "gpu_check.md").write_text(text)
    print(text, end="")


main(*map(pathlib.Path, sys.argv[1:]))
