"""What the logit lens sees at the visual rows, and how far RL moved it.

usage: lens.py PAIR --task seeing|counting [--prompts 300 --seed 0]

Per layer k, of residual[k + 1]: entropy of the base's lens in nats, the share of visual rows within 0.2 and 0.4 of the
prompt's largest entropy, KL(base || rlvr) of the lens in fifths of the rows by base entropy (lowest first), the rank
correlation of entropy and KL, and |rlvr - base| / |base| of the residual itself.
"""
import argparse

import torch

import checkpoint
from heldout import held_out
from task import VISUAL, tasks

HEADINGS = "| layer | H min | mean | max | <= 0.2 max | <= 0.4 max | KL Q1 | Q2 | Q3 | Q4 | Q5 | rank corr. | moved |"


def ranks(x):
    return x.argsort().argsort().float()


@torch.no_grad()
def visual_residuals(model, held):
    residuals = model.residuals(held.prompts, model.vision(held.patches))[1:]
    return [h[:, VISUAL] for h in residuals]


@torch.no_grad()
def table(base, rlvr, held):
    """One dict a layer."""
    out = []
    for layer, (hb, hr) in enumerate(zip(visual_residuals(base, held), visual_residuals(rlvr, held))):
        pb, pr = base.head(hb).log_softmax(-1), rlvr.head(hr).log_softmax(-1)
        entropy, moved = -(pb.exp() * pb).sum(-1), (pb.exp() * (pb - pr)).sum(-1)
        largest = entropy.amax(1, keepdim=True)
        fifths = moved.flatten()[entropy.flatten().argsort()].tensor_split(5)
        out.append({"layer": layer, "entropy": [entropy.min().item(), entropy.mean().item(), entropy.max().item()],
                    "within": [(entropy <= f * largest).float().mean().item() for f in (0.2, 0.4)],
                    "kl": [part.mean().item() for part in fifths],
                    "rank": torch.corrcoef(torch.stack([ranks(entropy.flatten()), ranks(moved.flatten())]))[0, 1].item(),
                    "moved": ((hr - hb).norm(dim=-1) / hb.norm(dim=-1)).mean().item()})
    return out


def markdown(rows):
    lines = [HEADINGS, "|---" * HEADINGS.count(" | ") + "|---|"]
    for r in rows:
        cells = [str(r["layer"]), *(f"{x:.2f}" for x in r["entropy"]), *(f"{x:.2f}" for x in r["within"]),
                 *(f"{x:.3f}" for x in r["kl"]), f"{r['rank']:+.2f}", f"{r['moved']:.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("pair")
    ap.add_argument("--task", choices=tasks(), required=True)
    ap.add_argument("--prompts", type=int, default=300)
    ap.add_argument("--seed", type=int, default=0)
    a = ap.parse_args()
    held = held_out(tasks()[a.task](), a.prompts, a.seed)
    print(markdown(table(checkpoint.load(f"{a.pair}/base"), checkpoint.load(f"{a.pair}/rlvr"), held)))


if __name__ == "__main__":
    main()
