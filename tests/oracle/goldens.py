"""Reference values of one prompt: residuals, entropies, selections and first-token log-probabilities.

usage: goldens.py PAIR IMAGE... --prompt TEXT --out golden.safetensors --layers K (--auto | --below NATS --fraction F) [--learned]

Writes OUT in the trace format (residual[j] enters decoder layer j, residual[L] the final norm) with one mask and one set of
log-probabilities per case, and next to it a JSON file with the arguments:

    substitute.released.all    rows with H_base below `below` and below H_rlvr, ranked at residual[k+1], swapped at residual[k]
    substitute.aligned.all     the same rows, swapped at residual[k+1]
    substitute.aligned.visual  visual rows with H_base at most `fraction` of the largest, swapped at residual[k+1]
    learned.aligned|released   (--learned) the delta learned on the rows of the previous case, `learned.mask`
    learned.high               aligned, on the visual rows with H_base at least `fraction` of the largest
    learned.all                aligned, on all visual rows
    learned.middle             the delta added to residual[2], the loss at policy layer 2 alone, as released: where it is added

Another implementation differs in the last digits, so every selection must be decided by at least --margin nats.
"""
import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from learned import learn
from model import capture, entropy, forward, load, tapped
from prompt import Prompter

LEARNED = dict(learning_rate=10.0, iterations=25, top=50)
MIDDLE = 2


def lead_below(threshold, base, rlvr):
    """How far each row is inside (positive) or outside the rule `base < threshold and base < rlvr`, [layers, rows] nats."""
    return torch.minimum(threshold - base, rlvr - base)


def lead_fraction(fraction, base):
    """The same for `base <= fraction * max`, over the visual rows only."""
    return fraction * base.amax(-1, keepdim=True) - base


def margin(lead):
    return lead.abs().min().item()


def search(candidates, lead, need):
    """A threshold that decides every row by `need` nats and selects, in its poorest layer, as close to a third of the rows as
    can be had. Returned with as few digits as still keep the margin."""
    values = candidates.flatten().sort().values
    best = None
    for t in ((values[1:] + values[:-1]) / 2).tolist():
        found = lead(t)
        count = (found > 0).sum(-1)
        if margin(found) >= need and count.min() > 0 and count.max() < found.shape[-1]:
            score = abs(count.min().item() / found.shape[-1] - 1 / 3)
            if best is None or score < best[0]:
                best = (score, t)
    if best is None:
        raise SystemExit(f"no threshold decides every row by {need} nats: try another seed or a larger drift")
    exact = lead(best[1]) > 0
    for digits in range(2, 8):
        t = round(best[1], digits)
        if margin(lead(t)) >= need and torch.equal(lead(t) > 0, exact):
            return t
    return best[1]


@torch.no_grad()
def substitute(rlvr, inputs, base_residuals, masks):
    """First-token log-probabilities when the rows masks[j] of residual[j] come from the base."""
    def tap(j):
        return lambda h: torch.where(masks[j][None, :, None], base_residuals[j], h)
    with tapped(rlvr, {j: tap(j) for j in masks}):
        return forward(rlvr, inputs)


def alternatives(focused, high, visual):
    """Per learned case the masks [layers, rows] and the arguments of `learn`. `high`: [layers, visual rows]."""
    uncertain, middle = torch.zeros_like(focused), torch.zeros_like(focused)
    uncertain[:, visual], middle[MIDDLE] = high, focused[MIDDLE]
    return {"aligned": (focused, dict(aligned=True)), "released": (focused, dict(aligned=False)),
            "high": (uncertain, dict(aligned=True)), "all": (visual.expand_as(focused), dict(aligned=True)),
            "middle": (middle, dict(aligned=False, inject=MIDDLE))}


def compute(pair, images, prompt, layers, system=None, below=None, fraction=None, need=0.002, learned=False):
    """(tensors, facts): what goes into the safetensors file and into the JSON file. Thresholds left out are searched."""
    base, rlvr = load(f"{pair}/base"), load(f"{pair}/rlvr")
    prompter = Prompter(f"{pair}/rlvr")
    inputs = prompter.inputs(prompt, images, system)
    ids = inputs["input_ids"][0]
    visual = ids == prompter.image_id
    (base_h, _), (rlvr_h, plain) = (capture(m, inputs, layers) for m in (base, rlvr))
    base_e, rlvr_e = (torch.stack([entropy(m, h) for h in hs]) for m, hs in ((base, base_h), (rlvr, rlvr_h)))
    out = {"token_ids": ids.int(), "visual_rows": visual.nonzero()[:, 0].int(), "logprobs.plain": plain}
    for j in range(layers + 1):
        out |= {f"residual.base.{j}": base_h[j], f"residual.rlvr.{j}": rlvr_h[j],
                f"entropy.base.{j}": base_e[j], f"entropy.rlvr.{j}": rlvr_e[j]}

    ranked, clean = base_e[1:], rlvr_e[1:]  # policy layer k ranks residual[k + 1]
    seen = ranked[:, visual]
    if below is None:
        below = search(ranked, lambda t: lead_below(t, ranked, clean), need)
    if fraction is None:
        fraction = search(seen / seen.amax(-1, keepdim=True), lambda f: lead_fraction(f, seen), need)
    margins = {"below": margin(lead_below(below, ranked, clean)), "fraction": margin(lead_fraction(fraction, seen))}
    low = lead_below(below, ranked, clean) > 0
    focused = torch.zeros_like(low)
    focused[:, visual] = lead_fraction(fraction, seen) >= 0
    cases = {"substitute.released.all": (low, 0), "substitute.aligned.all": (low, 1), "substitute.aligned.visual": (focused, 1)}
    for name, (mask, shift) in cases.items():
        out[f"{name}.mask"] = mask.to(torch.uint8)
        out[f"{name}.logprobs"] = substitute(rlvr, inputs, base_h, {k + shift: mask[k] for k in range(layers)})
    if learned:
        out["learned.mask"] = focused.to(torch.uint8)
        for name, (mask, how) in alternatives(focused, lead_fraction(fraction, seen) <= 0, visual).items():
            delta, losses, logprobs = learn(base, rlvr, inputs, visual, base_h, mask, **how, **LEARNED)
            out |= {f"learned.{name}.delta": delta, f"learned.{name}.losses": losses, f"learned.{name}.logprobs": logprobs}
            if mask is not focused:  # one row per policy layer of the case, as a trace has it
                out[f"learned.{name}.mask"] = mask[mask.any(-1)].to(torch.uint8)
    facts = dict(images=[Path(p).name for p in images], prompt=prompt, system=system, layers=layers, below=below,
                 base_below_rlvr=True, fraction_of_max=fraction, learned=LEARNED if learned else None, rows=len(ids),
                 visual_rows=int(visual.sum()), margin_nats={k: round(v, 5) for k, v in margins.items()},
                 selected={name: mask.sum(-1).tolist() for name, (mask, _) in cases.items()})
    return {k: v.contiguous() for k, v in out.items()}, facts


def write(out, tensors, facts):
    save_file(tensors, out, metadata={k: json.dumps(facts[k]) for k in ("prompt", "system", "layers", "below", "fraction_of_max")})
    Path(out).chmod(0o644)
    Path(out).with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("pair")
    ap.add_argument("images", nargs="+")
    ap.add_argument("--prompt", required=True)
    ap.add_argument("--system")
    ap.add_argument("--out", required=True)
    ap.add_argument("--layers", type=int, required=True)
    ap.add_argument("--below", type=float)
    ap.add_argument("--fraction", type=float)
    ap.add_argument("--auto", action="store_true", help="search the thresholds that are not given")
    ap.add_argument("--margin", type=float, default=0.002)
    ap.add_argument("--learned", action="store_true")
    a = ap.parse_args()
    if not a.auto and None in (a.below, a.fraction):
        ap.error("give --below and --fraction, or --auto")
    tensors, facts = compute(a.pair, a.images, a.prompt, a.layers, a.system, a.below, a.fraction, a.margin, a.learned)
    if min(facts["margin_nats"].values()) < a.margin:
        raise SystemExit(f"selection decided by less than {a.margin} nats: {facts['margin_nats']}")
    write(a.out, tensors, facts)
    print(f"--below {facts['below']} --fraction {facts['fraction_of_max']}")
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
