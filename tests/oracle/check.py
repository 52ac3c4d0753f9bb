"""Recompute the committed fixtures and compare. Exit status 1 if anything differs.

usage: check.py [NAME...]        all folders below tests/fixtures without names

pixels   our patches against the transformers image processor
pair     the pair written again from its seed (not for the kept one)
golden   every tensor: integers and masks identical, floats to 1e-5 of the largest value; selections clearly decided; losses fall
learned  the losses of published.py, relative to those of the golden
decode   token ids identical, log-probabilities to 1e-5; no greedy choice is a close call
"""
import json
import sys
import tempfile
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

import decode
import goldens
import published
import tiny_pair
from fixtures import FIXTURES, ROOT
from prompt import Prompter

FLOAT = 1e-5
MARGIN = 0.0019  # nats; the prototype's golden has 0.00196


def difference(got, want):
    """Largest difference relative to the largest value (at least 1), or infinity where they must be identical."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return float("inf")
    if not got.dtype.is_floating_point:
        return 0.0 if torch.equal(got, want) else float("inf")
    worst = ((got - want).abs().max() / max(1.0, want.abs().max().item())).item()
    return worst if worst == worst else float("inf")  # a NaN must not pass for small


def compare(got, want):
    """The worst difference between two sets of named tensors, and where."""
    strangers = got.keys() ^ want.keys()
    if strangers:
        return float("inf"), f"only on one side: {sorted(strangers)[:3]}"
    return max((difference(got[k], want[k]), k) for k in want)


def check_pixels(folder):
    role = folder / "pair/rlvr"
    prompter, theirs = Prompter(role), Qwen2VLImageProcessorPil.from_pretrained(role)
    worst = (0.0, "")
    for path in sorted(folder.glob("*.png")):
        rows, grid = prompter.patches(path)
        want = theirs(images=[Image.open(path).convert("RGB")], return_tensors="pt")
        same_grid = want["image_grid_thw"].tolist() == [grid]
        worst = max(worst, (difference(rows, want["pixel_values"]) if same_grid else float("inf"), path.name))
    return worst


def check_pair(folder, spec):
    worst = (0.0, "")
    with tempfile.TemporaryDirectory() as scratch:
        tiny_pair.build(scratch, **spec)
        for role in ("base", "rlvr"):
            fresh, kept = Path(scratch) / role, folder / "pair" / role
            files = {p.name for p in fresh.iterdir()} ^ {p.name for p in kept.iterdir()}
            changed = [p.name for p in kept.glob("*.json") if p.name not in files and p.read_text() != (fresh / p.name).read_text()]
            if files or changed:
                return float("inf"), f"{role}: {sorted(files) or changed}"
            worst = max(worst, compare(load_file(fresh / "model.safetensors"), load_file(kept / "model.safetensors")))
    return worst


def check_golden(folder):
    facts = json.loads((folder / "golden.json").read_text())
    tensors, again = goldens.compute(
        folder / "pair", [folder / p for p in facts["images"]], facts["prompt"], facts["layers"], facts["system"],
        facts["below"], facts["fraction_of_max"], learned=facts["learned"] is not None)
    if min(again["margin_nats"].values()) < MARGIN:
        return float("inf"), f"selection margin {again['margin_nats']}"
    stale = [k for k in again if k != "margin_nats" and again[k] != facts.get(k)]
    if stale:
        return float("inf"), f"golden.json is stale: {stale}"
    for name, counts in again["selected"].items():
        full = again["visual_rows"] if name.endswith("visual") else again["rows"]
        if not all(0 < n < full for n in counts):
            return float("inf"), f"{name} selects {counts} of {full}"
    rising = [k for k, v in tensors.items() if k.endswith(".losses") and not (v.diff() < 0).all()]
    if rising:
        return float("inf"), f"rises: {rising}"
    return compare(tensors, load_file(folder / "golden.safetensors"))


def check_learned(folder):
    facts, golden = json.loads((folder / "golden.json").read_text()), load_file(folder / "golden.safetensors")
    things = published.prepare(folder / "pair", [folder / p for p in facts["images"]], facts["prompt"], facts["system"])
    assert facts["learned"]["top"] == published.TOP
    worst = (0.0, "")
    for alignment in ("aligned", "released"):
        got = published.measure(*things, layers=facts["layers"], fraction=facts["fraction_of_max"], aligned=alignment == "aligned",
                                learning_rate=facts["learned"]["learning_rate"], iterations=facts["learned"]["iterations"])
        ratio = torch.tensor(got["losses"]) / golden[f"learned.{alignment}.losses"]
        worst = max(worst, (difference(ratio, torch.ones_like(ratio)), alignment))
    return worst


def check_decode(folder):
    want = json.loads((folder / "decode.json").read_text())
    got, lead = decode.compute(folder / "pair", json.loads((folder / "decode_cases.json").read_text()), folder)
    if lead < decode.CLOSE:
        return float("inf"), f"a greedy token leads by {lead:.4f} nats"
    worst = (0.0, "")
    for g, w in zip(got, want, strict=True):
        place = f"{w['role']}, {w['name']}"
        logprobs = difference(*(torch.tensor(r.pop("logprobs"), dtype=torch.float64) for r in (g, w)))
        worst = max(worst, (logprobs if g == w else float("inf"), place))
    return worst


def main():
    failed = False
    for name in sys.argv[1:] or FIXTURES:
        folder, spec = ROOT / name, FIXTURES[name]
        steps = {"pixels": lambda: check_pixels(folder), "golden": lambda: check_golden(folder),
                 "learned": lambda: check_learned(folder), "decode": lambda: check_decode(folder)}
        if not spec.get("kept"):
            steps["pair"] = lambda: check_pair(folder, spec["pair"])
        for step, run in steps.items():
            worst, where = run()
            failed |= not worst <= FLOAT
            print(f"{'ok  ' if worst <= FLOAT else 'FAIL'} {name:16} {step:7} {worst:.1e} {where}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
