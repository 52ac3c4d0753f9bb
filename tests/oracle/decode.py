"""Greedy continuations of both models for prompts with any number of images.

usage: decode.py PAIR CASES.json OUT.json      CASES: [{"name", "images": [...], "prompt", "system"?, "max_tokens"}]

Image paths are relative to CASES. Log-probabilities are natural, of the chosen tokens. A choice that leads by less than
0.005 nats is reported: another implementation may choose differently.
"""
import json
import sys
from pathlib import Path

import torch

from model import load
from prompt import Prompter

CLOSE = 0.005


@torch.no_grad()
def continue_greedily(model, inputs, max_tokens):
    """(token ids, log-probabilities, smallest lead of a chosen token over the runner-up)."""
    model.model.rope_deltas = None  # transformers would reuse those of the previous prompt
    got = model.generate(**inputs, do_sample=False, max_new_tokens=max_tokens, output_scores=True, return_dict_in_generate=True)
    ids = got.sequences[0, inputs["input_ids"].shape[1]:].tolist()
    logp = torch.stack([s[0] for s in got.scores]).log_softmax(-1)
    first, second = logp.topk(2, -1).values.unbind(-1)
    return ids, [round(row[t].item(), 6) for row, t in zip(logp, ids)], (first - second).min().item()


def compute(pair, cases, root):
    """(results, smallest lead): one entry per role and case, roles in the order rlvr, base."""
    prompter = Prompter(f"{pair}/rlvr")
    results, lead = [], float("inf")
    for role in ("rlvr", "base"):
        model = load(f"{pair}/{role}")
        for case in cases:
            inputs = prompter.inputs(case["prompt"], [Path(root) / p for p in case["images"]], case.get("system"))
            ids, logprobs, gap = continue_greedily(model, inputs, case["max_tokens"])
            if gap < CLOSE:
                print(f"close call: {role}, {case['name']}: a token leads by {gap:.4f} nats", file=sys.stderr)
            lead = min(lead, gap)
            results.append(dict(role=role, **case, prompt_tokens=inputs["input_ids"].shape[1],
                                text=prompter.tokenizer.decode(ids), token_ids=ids, logprobs=logprobs))
    return results, lead


def main():
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    pair, cases, out = sys.argv[1:]
    results, lead = compute(pair, json.loads(Path(cases).read_text()), Path(cases).parent)
    Path(out).write_text(json.dumps(results, indent=1) + "\n")
    for r in results:
        print(r["role"], r["name"], repr(r["text"]), r["logprobs"][:3])
    print(f"smallest lead {lead:.4f}")


if __name__ == "__main__":
    main()
