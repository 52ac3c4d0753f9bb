"""How often a model is right: pass@1, unbiased pass@k, greedy, and how its answers are spread.

usage: evaluate.py PAIR --task seeing|counting [--prompts 300 --samples 32 --seed 0]      PAIR holds base/ and rlvr/
"""
import argparse
import json
from collections import Counter
from math import comb

import numpy as np
import torch

import checkpoint
from heldout import held_out
from sample import sample
from task import tasks

CHUNK = 100  # prompts sampled at a time


def pass_at(k, right, samples):
    """Unbiased pass@k (Chen et al. 2021): mean over prompts of 1 - C(n - c, k) / C(n, k) for c right of n samples."""
    return float(np.mean([1 - comb(samples - int(c), k) / comb(samples, k) for c in right]))


@torch.no_grad()
def answers(model, task, held, samples, gen):
    """Token ids [prompts * samples, longest]; greedy without a generator."""
    parts = zip(held.prompts.split(CHUNK), held.patches.split(CHUNK))
    return torch.cat([sample(model, task, prompts, model.vision(patches), samples, gen) for prompts, patches in parts])


def is_right(task, rows, gold, samples):
    """Whether each answer is right, [prompts, samples]."""
    return np.array([task.parse(row) == gold[i // samples] for i, row in enumerate(rows)]).reshape(-1, samples)


def measure(model, task, held, samples, seed=17):
    """One model's figures on a held-out set."""
    rows = answers(model, task, held, samples, torch.Generator().manual_seed(seed))
    gold = held.scenes.gold
    right = is_right(task, rows, gold, samples)
    first = min(16, samples)
    each = rows.view(len(gold), samples, -1)[:, :first]
    styles = Counter(task.style(row) for row in rows)
    return {"pass@1": float(right.mean()),
            **{f"pass@{k}": pass_at(k, right.sum(1), samples) for k in (2, 4, 8, 16) if k <= samples},
            "greedy": float(is_right(task, answers(model, task, held, 1, None), gold, 1).mean()),
            "never": int((right.sum(1) == 0).sum()),
            "form": float(np.mean([task.parse(row) is not None for row in rows])),
            f"distinct of {first}": float(np.mean([len({tuple(row.tolist()) for row in group}) for group in each])),
            "styles": {style: round(n / len(rows), 3) for style, n in sorted(styles.items())}}


def glance(model, task, held, samples=8):
    """One short line for the log."""
    gold = held.scenes.gold
    right = is_right(task, answers(model, task, held, samples, torch.Generator().manual_seed(5)), gold, samples)
    greedy = is_right(task, answers(model, task, held, 1, None), gold, 1)
    return f"pass@1 {right.mean():.3f} pass@{samples} {right.any(1).mean():.3f} greedy {greedy.mean():.3f}"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("pair")
    ap.add_argument("--task", choices=tasks(), required=True)
    ap.add_argument("--prompts", type=int, default=300)
    ap.add_argument("--samples", type=int, default=32)
    ap.add_argument("--seed", type=int, default=0)
    a = ap.parse_args()
    task = tasks()[a.task]()
    held = held_out(task, a.prompts, a.seed)
    for role in ("base", "rlvr"):
        print(role, json.dumps(measure(checkpoint.load(f"{a.pair}/{role}"), task, held, a.samples)), flush=True)


if __name__ == "__main__":
    main()
