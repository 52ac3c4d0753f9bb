"""Answers from a model: one prefill a prompt, then token by token for all its samples at once."""
import torch
import torch.nn.functional as F


@torch.no_grad()
def sample(model, task, prompts, visual, each=1, gen=None, longest=None):
    """Token ids [prompts * each, <= longest], padded after the end of the turn.

    Temperature 1 with the generator `gen`, greedy without one.
    """
    s, longest, rows = model.sizes, longest or task.longest_answer, prompts.shape[1]
    h, cache = model.embed(prompts, visual), []
    for n in range(s.layers):
        h, kv = model.layer(n, h)
        cache.append([F.pad(x.repeat_interleave(each, 0), (0, 0, 0, longest)) for x in kv])
    logits = model.head(h[:, -1]).repeat_interleave(each, 0)
    count = len(logits)
    out = torch.full((count, longest), task.vocabulary.pad)
    done = torch.zeros(count, dtype=torch.bool)
    for t in range(longest):
        if gen is not None:
            logits = logits - torch.empty_like(logits).exponential_(generator=gen).log()  # Gumbel: the argmax is a sample
        token = torch.where(done, task.vocabulary.pad, logits.argmax(-1))
        out[:, t] = token
        done |= token == task.vocabulary.end
        if done.all() or t == longest - 1:
            break
        h, at = model.embed(token[:, None]), rows + t
        for n, (keys, values) in enumerate(cache):
            q, k, v = model.qkv(n, h, model.cos[at:at + 1], model.sin[at:at + 1])
            keys[:, :, at:at + 1], values[:, :, at:at + 1] = k, v
            grouped = q.view(count, s.kv_heads, -1, s.head)  # the queries that share a key head, as its rows
            seen = F.scaled_dot_product_attention(grouped, keys[:, :, :at + 1], values[:, :, :at + 1])
            h = model.finish(n, h, seen.reshape(count, s.heads, 1, -1))
        logits = model.head(h[:, -1])
    return out
