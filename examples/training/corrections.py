"""What a learned correction of the visual tokens can reach, by its loss, its rows and where it is added, in PyTorch.

usage: corrections.py [--base DIR --rlvr DIR] [--pair NAME --test outside] [--prompts 100 --samples 8 --seed 7]

Without arguments: the pair that ships in ../models/narrow. A delta at residual[j] is fitted to each prompt by Adam. `lens` is KL(base ||
rlvr) of the logit lens over the base's 50 likeliest tokens, `lens-all` over the whole vocabulary, `states` the squared distance of the
hidden states relative to the base's; each over the selected rows of residual[max(1, j)] to [6], or of one residual. The last column is the
distance of the hidden states that is left, over what it was, at the first and the last of these residuals.
"""
import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

import checkpoint
import replay
from heldout import held_out, narrowing_tests
from task import VISUAL

MODELS = Path(__file__).parent / "../models"
LAST, TOP = 6, 50


@dataclass(frozen=True)
class Setting:
    loss: str
    fraction: float = 1.0  # rows within this fraction of the largest entropy
    inject: int = 0
    steps: int = 100
    rate: float = 0.05
    only: int | None = None  # the one residual that the loss compares


SETTINGS = [
    Setting("lens", 0.4), Setting("lens"), Setting("lens-all", steps=300), Setting("lens", only=4),
    Setting("lens", inject=3), Setting("lens", inject=4),
    Setting("states", 0.4), Setting("states", 0.4, inject=3), Setting("states"), Setting("states", steps=25, rate=0.2),
    Setting("states", only=4), Setting("states", inject=3), Setting("states", inject=4),
]


class Corrected(replay.Replayed):
    """A model to whose visual rows something can be added while a prompt is read: `added` = {j: delta [b, 16, hidden]}."""
    added = {}

    def layer(self, n, h, *rest):
        if n in self.added and h.shape[1] > 1:
            h = plus(h, self.added[n])
        return super().layer(n, h, *rest)


def plus(h, delta):
    return torch.cat([h[:, :VISUAL.start], h[:, VISUAL] + delta, h[:, VISUAL.stop:]], 1)


class Experiment:
    def __init__(self, base, rlvr, task, held, samples):
        self.base, self.rlvr, self.task, self.held, self.samples = base, rlvr, task, held, samples
        with torch.no_grad():
            self.wanted = [h[:, VISUAL] for h in base.residuals(held.prompts, base.vision(held.patches))]
            self.clean = rlvr.residuals(held.prompts, rlvr.vision(held.patches))
            self.logp = [base.head(h).log_softmax(-1) for h in self.wanted]
            self.entropy = [-(p.exp() * p).sum(-1) for p in self.logp]
        self.off = None

    def line(self, name, more=" | "):
        """One markdown line: how the answers are now, against replay off."""
        right, greedy = replay.answered(self.rlvr, self.task, self.held, self.samples)
        self.off = right.mean(1) if self.off is None else self.off
        change = right.mean(1) - self.off
        return (f"| {name} | {right.mean():.3f} | {change.mean():+.3f} ({change.std() / len(change) ** 0.5:.3f}) "
                f"| {right.any(1).mean():.3f} | {greedy:.3f} | {more} |")

    def forward(self, inject, delta):
        out = {inject: plus(self.clean[inject], delta)}
        for n in range(inject, LAST):
            out[n + 1] = self.rlvr.layer(n, out[n])[0]
        return {j: h[:, VISUAL] for j, h in out.items()}

    def compared(self, s):
        return [s.only] if s.only else range(max(1, s.inject), LAST + 1)

    def loss(self, s, out):
        """Sum over residuals and prompts; each prompt has its own delta."""
        total = 0
        for j in self.compared(s):
            if s.loss == "states":
                each = (out[j] - self.wanted[j]).square().sum(-1) / self.wanted[j].square().sum(-1)
            else:
                p, q = self.logp[j], self.rlvr.head(out[j])
                if s.loss == "lens":
                    top = p.topk(TOP, -1).indices
                    p, q = p.gather(-1, top), q.gather(-1, top)
                p, q = p.log_softmax(-1), q.log_softmax(-1)
                each = (p.exp() * (p - q)).sum(-1)
            rows = (self.entropy[j] <= s.fraction * self.entropy[j].amax(1, keepdim=True)).float()
            total = total + ((each * rows).sum(1) / rows.sum(1)).sum()
        return total

    def learn(self, s):
        delta = torch.zeros_like(self.wanted[0], requires_grad=True)
        optimizer, first = torch.optim.Adam([delta], lr=s.rate), None
        for step in range(s.steps):
            for group in optimizer.param_groups:
                group["lr"] = s.rate * (1 - 0.9 * step / s.steps)
            loss = self.loss(s, self.forward(s.inject, delta))
            first = loss.item() if first is None else first
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        delta = delta.detach()
        with torch.no_grad():
            out, count = self.forward(s.inject, delta), len(delta)
            apart = lambda j, h: (h - self.wanted[j]).norm(dim=-1)
            left = [(apart(j, out[j]) / apart(j, self.clean[j][:, VISUAL])).median().item() for j in (max(1, s.inject), LAST)]
        self.rlvr.added = {s.inject: delta}
        where = f"residual[{s.only}] alone" if s.only else "all residuals"
        name = f"{s.loss}, {'all rows' if s.fraction == 1 else 'low-entropy rows'}, {where}, added at residual[{s.inject}], {s.steps} steps"
        text = self.line(name, f"{first / count:.4f} to {loss.item() / count:.4f} | {left[0]:.2f}, {left[1]:.2f}")
        self.rlvr.added = {}
        return text

    def lines(self):
        yield f"| | pass@1 | change (s.e.) | pass@{self.samples} | greedy | loss | distance left |\n|---|---|---|---|---|---|---|"
        yield self.line("replay off")
        every = torch.ones(self.wanted[0].shape[:2], dtype=torch.bool)
        self.rlvr.swaps = {j: (every, self.wanted[j]) for j in range(LAST + 2)}
        yield self.line("every visual row replaced at every residual")
        self.rlvr.swaps = {}
        for setting in SETTINGS:
            yield self.learn(setting)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--base", default=MODELS / "seeing/base")
    ap.add_argument("--rlvr", default=MODELS / "narrow/rlvr")
    ap.add_argument("--pair", default="narrow-clear")
    ap.add_argument("--test", default="outside")
    ap.add_argument("--prompts", type=int, default=100)
    ap.add_argument("--samples", type=int, default=8)
    ap.add_argument("--seed", type=int, default=7)
    a = ap.parse_args()
    task = narrowing_tests(a.pair)[a.test]
    base, rlvr = checkpoint.load(a.base), Corrected(load_file(Path(a.rlvr) / "model.safetensors"))
    for model in (base, rlvr):
        model.requires_grad_(False)
    for text in Experiment(base, rlvr, task, held_out(task, a.prompts, a.seed), a.samples).lines():
        print(text, flush=True)


if __name__ == "__main__":
    main()
