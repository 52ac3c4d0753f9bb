"""What it does to the RLVR model's answers to bring the base's visual rows back, in PyTorch.

usage: replay.py PAIR --task seeing|counting [--prompts 200 --samples 16 --seed 7]

For the first K layers the rows of residual[k + 1] whose base entropy is within a fraction of the prompt's largest are
replaced by the base's while the prompt is read. All lines use the same random numbers; the change of pass@1 against the
plain RLVR model comes with its standard error over prompts.
"""
import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

import evaluate
from heldout import held_out
from model import TinyVL
from sample import sample
from task import VISUAL, tasks

LAYERS, FRACTIONS = (2, 4, 6), (0.2, 0.4, 1.0)


class Replayed(TinyVL):
    """A model in which visual rows can be swapped while a prompt is read: `swaps` = {j: (mask [b, 16], residual [b, 16, hidden])}."""
    swaps = {}

    def layer(self, n, h, *rest):
        if n in self.swaps:
            mask, rows = self.swaps[n]
            h = torch.cat([h[:, :VISUAL.start], torch.where(mask[..., None], rows, h[:, VISUAL]), h[:, VISUAL.stop:]], 1)
        return super().layer(n, h, *rest)


def load(folder):
    return Replayed(load_file(Path(folder) / "model.safetensors"))


@torch.no_grad()
def answered(model, task, held, samples):
    """Whether each sample is right [prompts, samples], and the share of greedy answers that are."""
    visual, gold = model.vision(held.patches), held.scenes.gold
    rows = sample(model, task, held.prompts, visual, samples, torch.Generator().manual_seed(23))
    greedy = evaluate.is_right(task, sample(model, task, held.prompts, visual), gold, 1).mean()
    return evaluate.is_right(task, rows, gold, samples), greedy


@torch.no_grad()
def lines(base, rlvr, task, held, samples):
    """Yield one markdown line a setting."""
    seen = [h[:, VISUAL] for h in base.residuals(held.prompts, base.vision(held.patches))]
    logp = [base.head(h).log_softmax(-1) for h in seen]
    entropy = [-(p.exp() * p).sum(-1) for p in logp]
    plain, greedy = answered(rlvr, task, held, samples)

    def line(name, right, greedy):
        change = right.mean(1) - plain.mean(1)
        return (f"| {name} | {right.mean():.4f} | {change.mean():+.4f} ({change.std() / len(change) ** 0.5:.4f}) "
                f"| {evaluate.pass_at(4, right.sum(1), samples):.3f} | {evaluate.pass_at(samples, right.sum(1), samples):.3f} | {greedy:.3f} |")

    yield f"| | pass@1 | change (standard error) | pass@4 | pass@{samples} | greedy |\n|---|---|---|---|---|---|"
    yield line("base", *answered(base, task, held, samples))
    yield line("rlvr", plain, greedy)
    for layers in LAYERS:
        for fraction in FRACTIONS:
            rlvr.swaps = {j: (entropy[j] <= fraction * entropy[j].amax(1, keepdim=True), seen[j]) for j in range(1, layers + 1)}
            yield line(f"{layers} layers, within {fraction} of the largest", *answered(rlvr, task, held, samples))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("pair")
    ap.add_argument("--task", choices=tasks(), required=True)
    ap.add_argument("--prompts", type=int, default=200)
    ap.add_argument("--samples", type=int, default=16)
    ap.add_argument("--seed", type=int, default=7)
    a = ap.parse_args()
    task = tasks()[a.task]()
    for text in lines(load(f"{a.pair}/base"), load(f"{a.pair}/rlvr"), task, held_out(task, a.prompts, a.seed), a.samples):
        print(text, flush=True)


if __name__ == "__main__":
    main()
