"""From text and images to model inputs, reading only the files a checkpoint ships.

Pixels are cut here instead of by the transformers processor so that the oracle does not depend on its resizing backend;
check.py compares the two.
"""
import json
from pathlib import Path

import numpy as np
import torch
from jinja2 import Environment
from PIL import Image
from tokenizers import Tokenizer

from vocabulary import IMAGE_TAG

IMAGE_PAD = "<|image_pad|>"


class Prompter:
    """Prompt maker of one checkpoint folder."""

    def __init__(self, folder):
        folder = Path(folder)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.pixels = json.loads((folder / "preprocessor_config.json").read_text())
        source = json.loads((folder / "tokenizer_config.json").read_text())["chat_template"]
        # As transformers and mistral.rs set it up.
        self.template = Environment(trim_blocks=True, lstrip_blocks=True).from_string(source)
        self.takes_parts = "is string" in source
        self.image_id = self.tokenizer.token_to_id(IMAGE_PAD)

    def render(self, text, images, system=None):
        """The chat text with one image tag per image, tags before the text. Both ways to write the content must agree."""
        def chat(content):
            messages = [{"role": "system", "content": system}] if system else []
            return self.template.render(messages=messages + [{"role": "user", "content": content}], add_generation_prompt=True)
        flat = chat(IMAGE_TAG * images + text)
        if self.takes_parts:
            parts = chat([{"type": "image"}] * images + [{"type": "text", "text": text}])
            assert parts == flat, (parts, flat)
        return flat

    def patches(self, path):
        """Pixel rows [patches, channels * time * patch * patch], cells of one visual token adjacent, and the grid (1, h, w)."""
        patch, merge, time = (self.pixels[k] for k in ("patch_size", "merge_size", "temporal_patch_size"))
        rgb = np.asarray(Image.open(path).convert("RGB"), dtype=np.float64) / 255
        if rgb.shape[0] % (patch * merge) or rgb.shape[1] % (patch * merge):
            raise SystemExit(f"{path}: sides {rgb.shape[1]}x{rgb.shape[0]} must be multiples of {patch * merge}")
        rgb = (rgb - np.array(self.pixels["image_mean"])) / np.array(self.pixels["image_std"])
        gh, gw = rgb.shape[0] // patch, rgb.shape[1] // patch
        cells = rgb.reshape(gh // merge, merge, patch, gw // merge, merge, patch, 3)
        rows = cells.transpose(0, 3, 1, 4, 6, 2, 5).reshape(gh * gw, 3, 1, patch, patch)
        rows = np.repeat(rows, time, axis=2)  # a still image is a film of identical frames
        return torch.from_numpy(rows.reshape(gh * gw, -1)).float(), [1, gh, gw]

    def inputs(self, text, images, system=None):
        """Keyword arguments for the model's forward; `images` are paths, in prompt order."""
        cut = [self.patches(p) for p in images]
        pieces = self.render(text, len(images), system).split(IMAGE_PAD)
        assert len(pieces) == len(images) + 1, "the prompt itself contains an image tag"
        tokens = [int(np.prod(grid)) // self.pixels["merge_size"] ** 2 for _, grid in cut]
        full = pieces[0] + "".join(IMAGE_PAD * n + piece for n, piece in zip(tokens, pieces[1:]))
        ids = torch.tensor([self.tokenizer.encode(full, add_special_tokens=False).ids])
        out = dict(input_ids=ids, attention_mask=torch.ones_like(ids))
        if cut:
            out.update(pixel_values=torch.cat([p for p, _ in cut]), image_grid_thw=torch.tensor([g for _, g in cut]),
                       mm_token_type_ids=(ids == self.image_id).int())
        return out
