"""A held-out set: images no training has seen, with one question each.

usage: heldout.py OUT --prompts 300 --seed S [--task seeing|counting | --pair NAME --test inside|outside|...]

Writes OUT/000.png ... and OUT/set.jsonl with one line {"image", "prompt", "answer"} each. --pair and
--test name a test of a pair of the map (narrowings.py). The same arguments give the same bytes. The images are unscaled, one cell a visual token; their drawings are from a bank that training does not use.
"""
import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cells import Bank
from settings import HELD_OUT
from task import Scenes, tasks

DRAWINGS = 500


@dataclass
class HeldOut:
    """`count` prompts: token ids [prompts, rows], patches [prompts, 64, 588], scenes, images uint8."""
    prompts: torch.Tensor
    patches: torch.Tensor
    scenes: Scenes
    images: list


def held_out(task, count, seed):
    bank, rng = Bank(DRAWINGS, HELD_OUT + seed, clear=task.clear), np.random.default_rng([seed, 40])
    scenes = task.scenes(rng, count, bank)
    images = [bank.image(c, d) for c, d in zip(scenes.cells, scenes.drawings)]
    return HeldOut(task.prompts(scenes), bank.look(scenes.cells, scenes.drawings, rng), scenes, images)


def write(out, held):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "set.jsonl", "w") as lines:
        for i, image in enumerate(held.images):
            name = f"{i:03}.png"
            Image.fromarray(image).save(out / name)
            lines.write(json.dumps({"image": name, "prompt": held.scenes.questions[i], "answer": str(held.scenes.gold[i])}) + "\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--prompts", type=int, default=300)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--task", choices=tasks(), default="seeing")
    ap.add_argument("--pair")
    ap.add_argument("--test", default="outside")
    a = ap.parse_args()
    task = narrowing_tests(a.pair)[a.test] if a.pair else tasks()[a.task]()
    write(a.out, held_out(task, a.prompts, a.seed))


def narrowing_tests(pair):
    from narrowings import NARROWINGS  # which is built on this file's tasks
    return NARROWINGS[pair].tests()


if __name__ == "__main__":
    main()
