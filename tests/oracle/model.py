"""Loading a checkpoint and tapping its residual stream.

Taps are pre-hooks: `output_hidden_states` may or may not include what Qwen3-VL adds between layers (deepstack), while the
input of layer j is the residual stream by definition.
"""
import contextlib

import torch
from transformers import AutoModelForImageTextToText
from transformers.utils import logging

logging.disable_progress_bar()
torch.set_num_threads(1)  # tiny matrices: threads cost more than they bring, and sums keep their order


def load(folder, attention="eager"):
    """The model in f32 whatever its stored type, by default with plain attention, for forward passes only."""
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention).eval()
    return model.requires_grad_(False)


def stations(model):
    """Module whose input is residual[j], for j = 0..=L: every decoder layer, then the final norm."""
    text = model.model.language_model
    return [*text.layers, text.norm]


@contextlib.contextmanager
def tapped(model, taps):
    """While open, residual[j] is replaced by taps[j](residual[j]) ([1, rows, hidden]); a tap returning None only looks."""
    def hook(tap):
        def pre(_, args, kwargs):
            h = args[0] if args else kwargs["hidden_states"]
            edited = tap(h)
            if edited is None:
                return None
            return ((edited, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": edited})
        return pre
    places = stations(model)
    handles = [places[j].register_forward_pre_hook(hook(tap), with_kwargs=True) for j, tap in taps.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def forward(model, inputs):
    """Natural log-probabilities of the first generated token, [vocab]."""
    model.model.rope_deltas = None  # transformers would reuse those of the previous prompt
    return model(**inputs, use_cache=False).logits[0, -1].log_softmax(-1)


@torch.no_grad()
def capture(model, inputs, last):
    """residual[0..=last] as [rows, hidden] each, and the first token's log-probabilities, of one clean pass."""
    seen = {}
    with tapped(model, {j: lambda h, j=j: seen.update({j: h[0].clone()}) for j in range(last + 1)}):
        logprobs = forward(model, inputs)
    return [seen[j] for j in range(last + 1)], logprobs


def lens(model, residual):
    """Logit lens: the model's own final norm and head. `forward` skips the taps that residual[L] has on that norm."""
    return model.lm_head(model.model.language_model.norm.forward(residual))


@torch.no_grad()
def entropy(model, residual):
    """Entropy in nats of the logit lens, [rows]."""
    logp = lens(model, residual).log_softmax(-1)
    return -(logp.exp() * logp).sum(-1)
