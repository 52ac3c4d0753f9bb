"""Stage 2: GRPO with a verifiable reward; the result is the RLVR model.

On-policy, one update a batch. Reward 1 for the right answer and 0.05 for the form; the advantage is the reward against
its group's mean, in standard deviations. The vision tower is frozen; `trains` says what else is. With `kl`, the loss has
a penalty on KL(policy || base), estimated at the sampled tokens as exp(d) - d - 1 with d = log base - log policy
(Schulman's k3, as in the GRPO paper, arXiv 2402.03300).
"""
import copy
import time

import numpy as np
import torch

import evaluate
from sample import sample

FORM = 0.05
TRAINS = {  # prefixes of the published names; the vision tower is in none
    "both": ("visual.merger", "model.", "lm_head"),
    "language": ("model.", "lm_head"),
    "merger": ("visual.merger",),
}


def answer_rows(prompt, answers, length):
    """How `answers` answers of `length` tokens hang on one prompt in a single sequence: (places, mask).

    The sequence is the prompt, then each answer without its last token. Every answer row sees the prompt and its own
    answer's earlier rows; `places` is where each row sits, `mask` [rows, rows] what it sees.
    """
    inner = length - 1
    owner = torch.cat([torch.full((prompt,), -1), torch.arange(answers).repeat_interleave(inner)])
    places = torch.cat([torch.arange(prompt), prompt + torch.arange(inner).repeat(answers)])
    causal = places[:, None] >= places[None]
    return places, causal & ((owner[None] == -1) | (owner[:, None] == owner[None]))


def answer_logprobs(model, prompts, visual, answers):
    """Log-probabilities [prompts, group, length] of `answers` (of that shape), the prompt computed once for its group."""
    count, group, length = answers.shape
    rows = prompts.shape[1]
    places, mask = answer_rows(rows, group, length)
    h = torch.cat([model.embed(prompts, visual), model.embed(answers[:, :, :-1].flatten(1))], 1)
    for n in range(model.sizes.layers):
        h, _ = model.layer(n, h, model.cos[places], model.sin[places], mask)
    last = h[:, rows - 1:rows, None].expand(-1, group, 1, -1).transpose(1, 2)
    h = torch.cat([last.reshape(count, group, 1, -1), h[:, rows:].reshape(count, group, length - 1, -1)], 2)
    return model.head(h).log_softmax(-1).gather(-1, answers[..., None])[..., 0]


def rewards(task, answers, gold, group):
    """Rewards and how right the answers are, both [prompts, group]."""
    said = [task.parse(row) for row in answers]
    right = torch.tensor([task.score(a, gold[i // group]) for i, a in enumerate(said)]).view(-1, group)
    form = torch.tensor([a is not None for a in said]).view(-1, group)
    return right + FORM * form, right


def train(run, pair, task, model, bank, seed, watch):
    """Train `model` in place."""
    start = copy.deepcopy(model).requires_grad_(False) if pair.kl else None
    for name in model.names:
        model[name].requires_grad_(name.startswith(TRAINS[pair.trains]))
    parameters = model.named(lambda n: model[n].requires_grad)
    rng, gen = np.random.default_rng([seed, 30]), torch.Generator().manual_seed(seed + 31)
    optimizer = torch.optim.AdamW(parameters, lr=pair.rl_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    run.say(f"grpo start | {evaluate.glance(model, task, watch)}")
    recent, since, group = [], time.time(), pair.rl_group
    for step in run.steps("grpo", pair.iterations, pair.every, model=model, optimizer=optimizer, rng=rng, gen=gen):
        for g in optimizer.param_groups:
            g["lr"] = pair.rl_rate * min(1, (step + 1) / 10) * max(0.1, 1 - step / (pair.rl_schedule or pair.iterations))
        scenes = task.scenes(rng, pair.rl_prompts, bank)
        prompts, patches = task.prompts(scenes), bank.look(scenes.cells, scenes.drawings, rng)
        with torch.no_grad():
            features = model.tower(patches)
            answers = sample(model, task, prompts, model.merger(features), group, gen)
        reward, right = rewards(task, answers, scenes.gold, group)
        advantage = (reward - reward.mean(1, keepdim=True)) / (reward.std(1, keepdim=True) + 1e-4)
        recent.append(right.mean().item())
        told = (advantage.abs() > 1e-3).any(1)  # a group that agrees says nothing
        if told.any():
            answers = answers.view(pair.rl_prompts, group, -1)[told]
            answers = answers[:, :, :(answers != task.vocabulary.pad).sum(-1).max()]
            logprobs = answer_logprobs(model, prompts[told], model.merger(features[told]), answers)
            spoken = (answers != task.vocabulary.pad).float()
            loss = -(logprobs * advantage[told][..., None])
            if start is not None:
                with torch.no_grad():
                    reference = answer_logprobs(start, prompts[told], start.merger(features[told]), answers)
                ratio = reference - logprobs
                loss = loss + pair.kl * (ratio.exp() - ratio - 1)
            ((loss * spoken).sum() / spoken.sum()).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()
        if (step + 1) % pair.every == 0 or step == pair.iterations - 1:
            pace = (time.time() - since) / len(recent)
            run.say(f"grpo {step + 1} reward {np.mean(recent):.3f} {pace:.2f} s/step | {evaluate.glance(model, task, watch)}")
            recent, since = [], time.time()
