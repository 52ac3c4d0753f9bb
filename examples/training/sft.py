"""Stage 1: supervised fine-tuning on the annotator's answers, in phases of rising sloppiness; the result is the base.

Where the task gives image labels, the rows of the image are trained as well: at the last layer and, through the model's
own final norm and head, at every earlier one. That is what makes their logit lens say something.
"""
import numpy as np
import torch
import torch.nn.functional as F

import evaluate

WARM_UP = 60


def rate(pair, step):
    """Learning rate: warm-up, constant to `hold`, linear to 3 % at the end."""
    total = sum(p.steps for p in pair.phases)
    down = 1.0 if step < pair.hold else max(0.03, 1 - (step - pair.hold) / (total - pair.hold))
    return pair.sft_rate * min(1, (step + 1) / WARM_UP) * down


def losses(forward, task, pair, batch):
    """Sum of the text losses, number of text tokens, and the mean losses at image positions [layers] (empty without labels)."""
    ids, labels, patches, image = batch
    start = task.prompt_length - 8  # a description's prompt is shorter than a question's
    out = forward(ids[:, :-1], patches, start, image is not None)
    text, lens = out if image is not None else (out, None)
    loss = F.cross_entropy(text.flatten(0, 1), labels[:, start + 1:].flatten(), ignore_index=-100, reduction="sum")
    if lens is None:
        return loss, (labels >= 0).sum().item(), None
    wanted = image.flatten()
    return loss, (labels >= 0).sum().item(), torch.stack([F.cross_entropy(rows.flatten(0, 1), wanted) for rows in lens])


def groups_of(model):
    """Weight decay for matrices only."""
    return [{"params": model.named(lambda n: model[n].ndim > 1), "weight_decay": 0.02},
            {"params": model.named(lambda n: model[n].ndim == 1), "weight_decay": 0.0}]


def train(run, pair, task, model, bank, seed, watch, finished=0):
    """Train `model` in place through every phase; with `finished` phases already in the run, from there on."""
    rng = np.random.default_rng([seed, 20])
    optimizer = torch.optim.AdamW(groups_of(model), lr=pair.sft_rate, betas=(0.9, 0.98), fused=True)
    forward = torch.compile(model.forward, dynamic=False) if pair.compiled else model.forward
    start = 0
    for number, phase in enumerate(pair.phases):
        stage = f"sft-{number + 1}"
        if number < finished:
            start += phase.steps
            continue
        if number and finished == number:
            kept = run.load(f"sft-{number}")
            model.load_state_dict(kept["model"])
            optimizer.load_state_dict(kept["optimizer"])
            rng.bit_generator.state = kept["rng"]
        for step in run.steps(stage, phase.steps, pair.every, model=model, optimizer=optimizer, rng=rng):
            for group in optimizer.param_groups:
                group["lr"] = rate(pair, start + step)
            total, tokens, seen = 0.0, 0, None
            for group in task.groups:
                loss, count, image = losses(forward, task, pair, task.supervised(rng, bank, group, phase.slips, phase.describe))
                total, tokens, seen = total + loss, tokens + count, image if image is not None else seen
            total = total / tokens
            objective = total
            if seen is not None:
                objective = total + pair.image_loss * seen[-1] + pair.deep_loss * seen[:-1].mean()
            objective.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            if step % pair.every == 0 or step == phase.steps - 1:
                image = "" if seen is None else " image " + " ".join(f"{x:.2f}" for x in seen.tolist())
                look = "" if step % (2 * pair.every) and step < phase.steps - 1 else " | " + evaluate.glance(model, task, watch)
                run.say(f"{stage} {step} lr {rate(pair, start + step):.5f} text {total.item():.4f}{image}{look}")
        start += phase.steps
        run.save(stage, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": rng.bit_generator.state})
