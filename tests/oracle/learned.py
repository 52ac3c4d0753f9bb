"""The `learned` strategy, reference solver: gradient descent on a delta at the visual rows of one residual."""
import torch

from model import forward, lens, tapped


def learn(base, rlvr, inputs, visual, base_residuals, masks, *, aligned, learning_rate, iterations, top, inject=0):
    """delta [visual, hidden], losses [iterations], log-probabilities of the first token with the delta in place.

    The loss at policy layer k compares the base at residual[k + 1] with RLVR at residual[k + 1] (aligned) or residual[k]
    (as released), over the base's `top` tokens, averaged over the rows in masks[k]; the sum is divided by the visual rows.
    """
    rows = visual.nonzero()[:, 0]
    delta = torch.zeros(len(rows), base_residuals[0].shape[-1], requires_grad=True)
    goals = []
    for k, mask in enumerate(masks):
        if mask.any():
            with torch.no_grad():
                best, tokens = lens(base, base_residuals[k + 1][mask]).topk(top, -1)
            goals.append((k + 1 if aligned else k, mask, tokens, best.log_softmax(-1)))
    seen = {}
    add = {inject: lambda h: h.index_add(1, rows, delta[None])}

    def watch(j):
        def tap(h):
            h = add[inject](h) if j == inject else h
            seen[j] = h
            return h
        return tap

    taps = add | {j: watch(j) for j, *_ in goals}
    losses = []
    with tapped(rlvr, taps):
        for _ in range(iterations):
            forward(rlvr, inputs)
            loss = 0.0
            for j, mask, tokens, goal in goals:
                got = lens(rlvr, seen[j][0, mask]).gather(-1, tokens).log_softmax(-1)
                loss = loss + (goal.exp() * (goal - got)).sum(-1).mean()
            loss = loss / len(rows)
            losses.append(loss.item())
            (slope,) = torch.autograd.grad(loss, delta)
            with torch.no_grad():
                delta -= learning_rate * slope
    with torch.no_grad(), tapped(rlvr, add):
        logprobs = forward(rlvr, inputs)
    return delta.detach(), torch.tensor(losses), logprobs
