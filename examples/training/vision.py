"""Stage 0: the vision tower and merger learn what a cell holds, with a linear classifier that is thrown away."""
import numpy as np
import torch
import torch.nn.functional as F

from cells import CELLS, KINDS, Bank
from model import TinyVL, initial
from settings import HELD_OUT

RATE = 2e-3


def pictures(bank, count, rng):
    """`count` images of uniformly drawn cells: patches, contents [images, 16]."""
    cells = rng.integers(0, KINDS, (count, CELLS))
    return bank.look(cells, rng.integers(0, bank.count, cells.shape), rng), torch.tensor(cells)


def train(run, pair, task, bank, seed):
    """A model whose visual part can see; its text part is untouched."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 10])
    model, classifier = TinyVL(initial(task.vocabulary.size, seed)), torch.nn.Linear(128, KINDS)
    parameters = [*model.named(lambda n: n.startswith("visual")), *classifier.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01, fused=True)
    for step in run.steps("vision", pair.vision_steps, pair.every, model=model, classifier=classifier, optimizer=optimizer, rng=rng):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 20) * (1 - 0.9 * step / pair.vision_steps)
        patches, cells = pictures(bank, pair.vision_batch, rng)
        loss = F.cross_entropy(classifier(model.vision(patches)).flatten(0, 1), cells.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % pair.every == 0:
            run.say(f"vision {step} loss {loss.item():.4f}")
    with torch.no_grad():
        held = Bank(100, HELD_OUT, clear=task.clear)
        patches, cells = pictures(held, 100, np.random.default_rng(0))
        right = (classifier(model.vision(patches)).argmax(-1) == cells).float().mean().item()
    run.say(f"vision: {100 * right:.1f} % of held-out cells right")
    return model
