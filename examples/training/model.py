"""A tiny Qwen2.5-VL: the exact architecture and its published tensor names, in a fast fixed-shape forward.

One image of 4x4 visual tokens at a fixed place, no padding on the left: everything that a general implementation works
out per prompt is a table here.
"""
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from cells import CELLS, GRID
from task import VISUAL

SECTIONS = [4, 6, 6]  # m-rope: rotary pairs for time, height, width
ROWS = 128            # longest sequence in the tables


@dataclass(frozen=True)
class Sizes:
    hidden: int = 128
    layers: int = 8
    head: int = 32
    heads: int = 4
    kv_heads: int = 2
    mlp: int = 384
    vision_hidden: int = 64
    vision_depth: int = 2
    vision_mlp: int = 128
    vision_heads: int = 2


SIZES = Sizes()


def initial(vocabulary, seed, s=SIZES):
    """Fresh parameters by published name: fan-in scaling, less where a block writes to the residual stream."""
    gen = torch.Generator().manual_seed(seed)
    p = {}

    def linear(name, out, into, bias=False, scale=1.0):
        p[name + ".weight"] = torch.randn(out, into, generator=gen) * scale / into ** 0.5
        if bias:
            p[name + ".bias"] = torch.zeros(out)

    p["lm_head.weight"] = torch.randn(vocabulary, s.hidden, generator=gen) * 0.5 / s.hidden ** 0.5
    p["model.embed_tokens.weight"] = torch.randn(vocabulary, s.hidden, generator=gen) * 0.5
    quiet = (2 * s.layers) ** -0.5
    for n in range(s.layers):
        at = f"model.layers.{n}."
        p[at + "input_layernorm.weight"] = torch.ones(s.hidden)
        p[at + "post_attention_layernorm.weight"] = torch.ones(s.hidden)
        linear(at + "self_attn.q_proj", s.heads * s.head, s.hidden, True)
        linear(at + "self_attn.k_proj", s.kv_heads * s.head, s.hidden, True)
        linear(at + "self_attn.v_proj", s.kv_heads * s.head, s.hidden, True)
        linear(at + "self_attn.o_proj", s.hidden, s.heads * s.head, scale=quiet)
        linear(at + "mlp.gate_proj", s.mlp, s.hidden)
        linear(at + "mlp.up_proj", s.mlp, s.hidden)
        linear(at + "mlp.down_proj", s.hidden, s.mlp, scale=quiet)
    p["model.norm.weight"] = torch.ones(s.hidden)
    w = s.vision_hidden
    p["visual.patch_embed.proj.weight"] = torch.randn(w, 3, 2, 14, 14, generator=gen) * 0.5 / 588 ** 0.5
    for n in range(s.vision_depth):
        at = f"visual.blocks.{n}."
        p[at + "norm1.weight"], p[at + "norm2.weight"] = torch.ones(w), torch.ones(w)
        linear(at + "attn.qkv", 3 * w, w, True)
        linear(at + "attn.proj", w, w, True, 0.5)
        linear(at + "mlp.gate_proj", s.vision_mlp, w, True)
        linear(at + "mlp.up_proj", s.vision_mlp, w, True)
        linear(at + "mlp.down_proj", w, s.vision_mlp, True, 0.5)
    p["visual.merger.ln_q.weight"] = torch.ones(w)
    linear("visual.merger.mlp.0", 4 * w, 4 * w, True)
    linear("visual.merger.mlp.2", s.hidden, 4 * w, True, 0.5)
    return p


def norm(x, weight):
    return F.rms_norm(x, (x.shape[-1],), weight, 1e-6)


def turned(x):
    a, b = x.chunk(2, -1)
    return torch.cat((-b, a), -1)


def text_rotary(s):
    """cos and sin [ROWS, head] for the fixed layout: text, 4x4 visual tokens at one time step, text."""
    first = VISUAL.start
    place = torch.zeros(3, ROWS)
    place[:, :first] = torch.arange(first)
    for k in range(CELLS):
        place[:, first + k] = torch.tensor([first, first + k // GRID, first + k % GRID])
    place[:, VISUAL.stop:] = torch.arange(ROWS - VISUAL.stop) + first + GRID
    angle = place[..., None] / 1e6 ** (torch.arange(0, s.head, 2).float() / s.head)
    angle = torch.cat([part[i % 3] for i, part in enumerate(angle.split(SECTIONS, -1))], -1)
    angle = torch.cat([angle, angle], -1)
    return angle.cos(), angle.sin()


def vision_rotary(s):
    """cos and sin [64, head]: height and width of each patch, the four of a visual token together."""
    head = s.vision_hidden // s.vision_heads
    inverse = 1 / 10000 ** (torch.arange(0, head // 2, 2).float() / (head // 2))
    places = [(2 * i + a, 2 * j + b) for i in range(GRID) for j in range(GRID) for a in range(2) for b in range(2)]
    angle = torch.cat([torch.tensor(axis)[:, None] * inverse for axis in zip(*places)], -1)
    angle = torch.cat([angle, angle], -1)
    return angle.cos(), angle.sin()


class TinyVL(torch.nn.Module):
    """Index it by published tensor name: `model["lm_head.weight"]`."""

    def __init__(self, tensors, sizes=SIZES):
        super().__init__()
        self.sizes, self.names = sizes, list(tensors)
        self.tensors = torch.nn.ParameterList([torch.nn.Parameter(t.float().clone()) for t in tensors.values()])
        self.at = {name: i for i, name in enumerate(self.names)}
        for key, table in zip(("cos", "sin", "vision_cos", "vision_sin"), (*text_rotary(sizes), *vision_rotary(sizes))):
            self.register_buffer(key, table, persistent=False)

    def __getitem__(self, name):
        return self.tensors[self.at[name]]

    def named(self, chosen=lambda name: True):
        return [self[name] for name in self.names if chosen(name)]

    def linear(self, x, name):
        return F.linear(x, self[name + ".weight"], self[name + ".bias"] if name + ".bias" in self.at else None)

    def gated(self, x, at):
        return self.linear(F.silu(self.linear(x, at + "gate_proj")) * self.linear(x, at + "up_proj"), at + "down_proj")

    def tower(self, patches):
        """Patches [images, 64, 588] to vision features [images, 64, vision hidden]."""
        images, count, _ = patches.shape
        s = self.sizes
        frame = self["visual.patch_embed.proj.weight"].sum(2).reshape(s.vision_hidden, -1)  # both frames are the same image
        x = F.linear(patches, frame)
        for n in range(s.vision_depth):
            at = f"visual.blocks.{n}."
            qkv = self.linear(norm(x, self[at + "norm1.weight"]), at + "attn.qkv")
            q, k, v = qkv.reshape(images, count, 3, s.vision_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
            q = q * self.vision_cos + turned(q) * self.vision_sin
            k = k * self.vision_cos + turned(k) * self.vision_sin
            seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(images, count, -1)
            x = x + self.linear(seen, at + "attn.proj")
            x = x + self.gated(norm(x, self[at + "norm2.weight"]), at + "mlp.")
        return x

    def merger(self, features):
        """Vision features to visual tokens [images, 16, hidden]."""
        x = norm(features, self["visual.merger.ln_q.weight"]).reshape(len(features), CELLS, -1)
        return self.linear(F.gelu(self.linear(x, "visual.merger.mlp.0")), "visual.merger.mlp.2")

    def vision(self, patches):
        return self.merger(self.tower(patches))

    def embed(self, ids, visual=None):
        """residual[0]: token embeddings, with the visual tokens in their rows."""
        h = F.embedding(ids, self["model.embed_tokens.weight"])
        return h if visual is None else torch.cat([h[:, :VISUAL.start], visual, h[:, VISUAL.stop:]], 1)

    def qkv(self, n, h, cos, sin):
        """Queries [b, heads, rows, head], keys and values [b, kv heads, rows, head] of layer n."""
        s, at = self.sizes, f"model.layers.{n}."
        x = norm(h, self[at + "input_layernorm.weight"])
        q, k, v = (self.linear(x, f"{at}self_attn.{w}_proj").view(*h.shape[:2], -1, s.head).transpose(1, 2) for w in "qkv")
        return q * cos + turned(q) * sin, k * cos + turned(k) * sin, v

    def finish(self, n, h, seen):
        """The residual after layer n, from what its heads have gathered [b, heads, rows, head]."""
        at = f"model.layers.{n}."
        h = h + self.linear(seen.transpose(1, 2).reshape(*h.shape[:2], -1), at + "self_attn.o_proj")
        return h + self.gated(norm(h, self[at + "post_attention_layernorm.weight"]), at + "mlp.")

    def layer(self, n, h, cos=None, sin=None, mask=None):
        """Decoder layer n over whole sequences, causal unless a mask is given. Returns the residual and the new keys, values."""
        if cos is None:
            cos, sin = self.cos[:h.shape[1]], self.sin[:h.shape[1]]
        q, k, v = self.qkv(n, h, cos, sin)
        group = self.sizes.heads // self.sizes.kv_heads
        seen = F.scaled_dot_product_attention(q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1),
                                              attn_mask=mask, is_causal=mask is None)
        return self.finish(n, h, seen), (k, v)

    def head(self, h):
        """Logits of a residual; of an earlier layer's residual this is the logit lens."""
        return F.linear(norm(h, self["model.norm.weight"]), self["lm_head.weight"])

    def residuals(self, ids, visual):
        """[residual[0], ..., residual[layers]]."""
        out = [self.embed(ids, visual)]
        for n in range(self.sizes.layers):
            out.append(self.layer(n, out[-1])[0])
        return out

    def forward(self, ids, patches, start=0, lens=False):
        """Logits of the rows from `start`, and (where asked for) the lens at the visual rows of residual[1..=layers]."""
        residuals = self.residuals(ids, self.vision(patches))
        text = self.head(residuals[-1][:, start:])
        return (text, self.head(torch.stack([h[:, VISUAL] for h in residuals[1:]]))) if lens else text
