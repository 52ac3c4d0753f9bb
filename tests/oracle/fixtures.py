"""Build the fixture folders below tests/fixtures, one per entry of FIXTURES.

usage: fixtures.py [NAME...]        all of them without names

Each folder gets pair/{base,rlvr}, images, golden.safetensors, golden.json (its arguments), decode_cases.json, decode.json.
"""
import json
import sys
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load, save_file

import decode
import goldens
import images
import tiny_pair

ROOT = Path(__file__).resolve().parent.parent / "fixtures"

DECODE_CASES = [
    {"name": "text only", "images": [], "prompt": "Name three colours."},
    {"name": "one image", "images": ["image.png"], "prompt": "What is in the picture?"},
    {"name": "system and one image", "images": ["image_wide.png"], "prompt": "Describe it.", "system": "Answer briefly."},
    {"name": "two images", "images": ["image_small.png", "image_wide.png"], "prompt": "Compare them."},
    {"name": "three images of unequal sizes", "images": ["image_small.png", "image_wide.png", "image_tall.png"],
     "prompt": "Which one is brighter?"},
]

# Thresholds not given are searched. Seeds were chosen so that every selection and every greedy token is clearly decided.
FIXTURES = {
    # Made by the prototype of these scripts and kept byte for byte: the engine's first tests were written against it. Only
    # tensors that its golden lacks are added.
    "qwen2_5_vl": dict(
        kept=True, golden=dict(images=["image.png"], prompt="What is in the picture?", layers=4, below=4.13, fraction=0.957,
                               learned=True)),
    # Tied embeddings, one key/value head for three query heads, every layer a policy layer (residual[L] included).
    "qwen2_5_vl_wide": dict(
        pair=dict(family="qwen2_5_vl", hidden=96, layers=5, intermediate=128, vision_hidden=32, tied=True, seed=2, drift=0.1),
        images=dict(unit=28, seed=2, shapes=images.SHAPES | {"image": (10, 5)}),
        golden=dict(images=["image.png"], prompt="Count the shapes.", system="Be exact.", layers=5, need=0.003,
                    learned=True)),
    "qwen2_vl": dict(
        pair=dict(family="qwen2_vl", seed=2, drift=0.1), images=dict(unit=28, seed=2),
        golden=dict(images=["image.png"], prompt="What is in the picture?", layers=4, need=0.004, learned=True)),
    # Two images, so that deepstack features of both have to land on their own rows.
    "qwen3_vl": dict(
        pair=dict(family="qwen3_vl", seed=3, drift=0.1), images=dict(unit=32, seed=3),
        golden=dict(images=["image.png", "image_tall.png"], prompt="What changed?", layers=4, need=0.003, learned=True)),
}


def compute_golden(name, spec):
    folder = ROOT / name
    paths = [folder / p for p in spec["images"]]
    return goldens.compute(folder / "pair", paths, **{k: v for k, v in spec.items() if k != "images"})


def keep(golden, tensors):
    """Write `tensors` beneath those the file has; its metadata stays."""
    with safe_open(golden, "pt") as f:
        metadata = f.metadata()
    # Read whole, not mapped: the file is written over.
    save_file(tensors | load(golden.read_bytes()), golden, metadata=metadata)
    golden.chmod(0o644)


def build(name):
    spec, folder = FIXTURES[name], ROOT / name
    if not spec.get("kept"):
        images.build(folder, **spec["images"])
        tiny_pair.build(folder / "pair", **spec["pair"])
    tensors, facts = compute_golden(name, spec["golden"])
    facts = {"family": json.loads((folder / "pair/rlvr/config.json").read_text())["model_type"], **facts}
    print(name, json.dumps(facts))
    if spec.get("kept"):
        keep(folder / "golden.safetensors", tensors)
        (folder / "golden.json").write_text(json.dumps(facts, indent=1) + "\n")
        return
    goldens.write(folder / "golden.safetensors", tensors, facts)
    cases = [dict(case, max_tokens=12) for case in DECODE_CASES]
    (folder / "decode_cases.json").write_text("[\n" + ",\n".join(" " + json.dumps(c) for c in cases) + "\n]\n")
    results, lead = decode.compute(folder / "pair", cases, folder)
    (folder / "decode.json").write_text(json.dumps(results, indent=1) + "\n")
    for r in results:
        print(" ", r["role"], r["name"], r["prompt_tokens"], repr(r["text"]))
    print(f"  smallest lead of a greedy token {lead:.4f} nats")


if __name__ == "__main__":
    for name in sys.argv[1:] or FIXTURES:
        build(name)
