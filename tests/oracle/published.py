"""Time the published algorithm: `learned` as the authors' code runs it, with all the work that their code does.

usage: published.py PAIR IMAGE --prompt TEXT --layers K --fraction F [--iterations 25] [--alignment aligned|released]
                    [--learning-rate 10] [--system TEXT] [--threads 2] [--repeat R | --serve]

The numbers are those of learned.py (check.py compares the losses); the cost is not, for nothing is saved that does not change
them: each iteration runs the RLVR model from the pixels through all layers, its key/value cache and its own head over all rows,
with weights that want gradients, and asks for the base's top tokens again. What the published code leaves to its
libraries is taken at its best: fused attention, no graph for the base.

Prints one JSON line per repeat, milliseconds:

    prefill_ms   a plain prefill of the RLVR model from the pixels, logits of the last row only
    base_ms      the base's pass and the entropies of K layers over all rows: once per prompt
    learn_ms     all iterations; time to first token is base_ms + learn_ms + prefill_ms
    losses       one per iteration, before its step; loss_ms: when each was known, counted from the start of the iterations
    rows, visual_rows, selected (per policy layer)

With --serve a repeat runs whenever a line arrives on standard input, so that another program can take turns with this one.
"""
import argparse
import json
import sys
import time

import torch
import torch.nn.functional as F

from model import lens, load, stations, tapped
from prompt import Prompter

TOP = 50


def full_pass(model, inputs, taps, **how):
    """One forward as `generate` would run a prefill."""
    model.model.rope_deltas = None  # transformers would reuse those of the previous prompt
    with tapped(model, taps):
        return model(**inputs, use_cache=True, **how).logits


@torch.no_grad()
def plain_prefill(rlvr, inputs):
    return full_pass(rlvr, inputs, {}, logits_to_keep=1)


@torch.no_grad()
def base_targets(base, inputs, visual, layers, fraction):
    """(base residual, mask of selected rows) per policy layer."""
    seen = {}
    full_pass(base, inputs, {j: lambda h, j=j: seen.update({j: h[0]}) for j in range(len(stations(base)))})
    targets = []
    for k in range(layers):
        logits = lens(base, seen[k + 1])
        entropy = -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1)
        targets.append((seen[k + 1], visual & (entropy <= fraction * entropy[visual].max())))
    return targets


def divergence(base, rlvr, target, residual, mask):
    """Mean KL(base || rlvr) over the rows of `mask`, both over the base's top tokens, renormalised."""
    with torch.no_grad():
        best, tokens = lens(base, target[mask]).topk(TOP, -1)
    return F.kl_div(lens(rlvr, residual[mask]).gather(-1, tokens).log_softmax(-1), best.softmax(-1), reduction="batchmean")


def learn(base, rlvr, inputs, visual, targets, *, aligned, learning_rate, iterations):
    """(losses, milliseconds at which each was known)."""
    rows = visual.nonzero()[:, 0]
    delta = torch.zeros(len(rows), targets[0][0].shape[-1], requires_grad=True)
    seen = {}

    def tap(j):
        def keep(h):
            seen[j] = h.index_add(1, rows, delta[None]) if j == 0 else h
            return seen[j]
        return keep

    losses, known = [], []
    start = time.perf_counter()
    for i in range(iterations):
        full_pass(rlvr, inputs, {j: tap(j) for j in range(len(targets) + 1)})
        loss = sum(divergence(base, rlvr, target, seen[k + 1 if aligned else k][0], mask)
                   for k, (target, mask) in enumerate(targets) if mask.any()) / len(rows)
        losses.append(loss.item())
        known.append(since(start))
        (slope,) = torch.autograd.grad(loss, delta, retain_graph=i + 1 < iterations)
        with torch.no_grad():
            delta -= learning_rate * slope
    return losses, known


def since(start):
    return round(1000 * (time.perf_counter() - start), 3)


def measure(base, rlvr, inputs, visual, *, layers, fraction, **how):
    """What one output line holds."""
    start = time.perf_counter()
    plain_prefill(rlvr, inputs)
    prefill = since(start)
    start = time.perf_counter()
    targets = base_targets(base, inputs, visual, layers, fraction)
    base_ms = since(start)
    if not any(mask.any() for _, mask in targets):
        raise SystemExit(f"--fraction {fraction} selects no row in any layer")
    start = time.perf_counter()
    losses, known = learn(base, rlvr, inputs, visual, targets, **how)
    return dict(prefill_ms=prefill, base_ms=base_ms, learn_ms=since(start), losses=losses, loss_ms=known, rows=len(visual),
                visual_rows=int(visual.sum()), selected=[int(mask.sum()) for _, mask in targets])


def prepare(pair, images, prompt, system=None):
    """The positional arguments of `measure`."""
    base, rlvr = (load(f"{pair}/{role}", "sdpa").requires_grad_(True) for role in ("base", "rlvr"))
    prompter = Prompter(f"{pair}/rlvr")
    inputs = prompter.inputs(prompt, images, system)
    return base, rlvr, inputs, inputs["input_ids"][0] == prompter.image_id


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("pair")
    ap.add_argument("image")
    ap.add_argument("--prompt", required=True)
    ap.add_argument("--system")
    ap.add_argument("--layers", type=int, required=True)
    ap.add_argument("--fraction", type=float, required=True)
    ap.add_argument("--alignment", choices=["aligned", "released"], default="aligned")
    ap.add_argument("--iterations", type=int, default=25)
    ap.add_argument("--learning-rate", type=float, default=10.0)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--repeat", type=int, default=1)
    ap.add_argument("--serve", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)  # model.py asks for one
    things = prepare(a.pair, [a.image], a.prompt, a.system)
    for model in things[:2]:
        plain_prefill(model, things[2])  # not timed: the weights are read from the disk at first touch
    for _ in sys.stdin if a.serve else range(a.repeat):
        line = measure(*things, layers=a.layers, fraction=a.fraction, aligned=a.alignment == "aligned",
                       learning_rate=a.learning_rate, iterations=a.iterations)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
