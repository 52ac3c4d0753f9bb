"""Images of 4x4 cells, each empty or holding one coloured shape under noise, as pixels and as patches.

A bank holds many drawings of each of the 13 cell contents; an image picks sixteen of them. One cell is one visual token.
"""
import numpy as np
import torch

GRID, CELL, KINDS = 4, 28, 13
CELLS = GRID * GRID
NOISE = 28  # standard deviation of the pixel noise, in grey levels
MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
STD = np.array([0.26862954, 0.26130258, 0.27577711])
RGB = np.array([[205, 60, 55], [60, 165, 75], [65, 85, 200], [205, 185, 60]], float)
FADE = 0.6  # how far a cell of haze 1 has gone over into its background


def draw(count, rng, noise, haze):
    """Drawings uint8 [13, count, 28, 28, 3] of each content, faded by `haze` [13, count] in 0..1 (None: not at all)."""
    yy, xx = np.mgrid[0:CELL, 0:CELL].astype(float)
    out = np.zeros((KINDS, count, CELL, CELL, 3), np.uint8)
    for kind in range(KINDS):
        ground = rng.uniform(95, 160, (count, 1, 1, 1)) * np.ones((count, CELL, CELL, 3))
        picture = ground
        if kind:
            colour, shape = divmod(kind - 1, 3)
            radius = rng.uniform(5.5, 10, (count, 1, 1))
            x, y = xx - 13.5 - rng.uniform(-3.5, 3.5, (count, 1, 1)), yy - 13.5 - rng.uniform(-3.5, 3.5, (count, 1, 1))
            if shape == 0:
                inside = x ** 2 + y ** 2 <= radius ** 2
            elif shape == 1:
                inside = (abs(x) <= radius * 0.88) & (abs(y) <= radius * 0.88)
            else:
                inside = (y <= radius * 0.8) & (y >= -radius * 0.95) & (abs(x) <= (y + radius * 0.95) * 0.62)
            paint = np.clip(RGB[colour] + rng.normal(0, 22, (count, 1, 1, 3)), 0, 255)
            if haze is not None:
                paint = paint + FADE * haze[kind][:, None, None, None] * (ground - paint)
            picture = np.where(inside[..., None], paint, ground)
        out[kind] = np.clip(picture + rng.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)
    return out


def to_patches(cells):
    """Pixels uint8 [..., 28, 28, 3] as patches f32 [..., 4, 588], in the order of the Qwen2-VL processor (one frame)."""
    x = ((cells.astype(np.float64) / 255 - MEAN) / STD).astype(np.float32)
    lead = x.shape[:-3]
    n = len(lead)
    x = x.reshape(*lead, 2, 14, 2, 14, 3).transpose(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return np.ascontiguousarray(x).reshape(*lead, 4, 588)


def clear_or_hazy(count, rng, clear):
    """Haze [13, count]: zero for a share `clear` of the drawings, uniform in 0..1 otherwise; empty cells have none."""
    haze = np.where(rng.random((KINDS, count)) < clear, 0.0, rng.random((KINDS, count)))
    haze[0] = 0.0
    return haze


class Bank:
    """`count` drawings of each content.

    With `fields` noise fields (training) each use adds one of them at random: noise baked into the drawings would be
    learned by heart. Without (held out) the noise is part of the drawing, so that an image can be written to a file.
    `clear` below 1 makes the rest of the drawings hazy.
    """

    def __init__(self, count, seed, fields=0, clear=1.0):
        self.count = count
        self.haze = clear_or_hazy(count, np.random.default_rng([seed, 2]), clear)
        self.pixels = draw(count, np.random.default_rng([seed, 0]), 0 if fields else NOISE, self.haze if clear < 1 else None)
        self.patches = torch.from_numpy(to_patches(self.pixels))
        self.fields = None
        if fields:
            e = np.random.default_rng([seed, 1]).normal(0, NOISE / 255, (fields, CELL, CELL, 3)) / STD
            e = e.astype(np.float32).reshape(fields, 2, 14, 2, 14, 3).transpose(0, 1, 3, 5, 2, 4)
            self.fields = torch.from_numpy(np.ascontiguousarray(e)).reshape(fields, 4, 588)

    def look(self, cells, drawings, rng):
        """Patches f32 [images, 64, 588] of the contents `cells` in the given `drawings`, both [images, 16]."""
        x = self.patches[torch.as_tensor(cells), torch.as_tensor(drawings)]
        if self.fields is not None:
            x = x + self.fields[torch.as_tensor(rng.integers(0, len(self.fields), cells.shape))]
        return x.reshape(len(cells), CELLS * 4, 588)

    def image(self, cells, drawings):
        """One image, uint8 [112, 112, 3]."""
        x = self.pixels[cells, drawings].reshape(GRID, GRID, CELL, CELL, 3)
        return x.transpose(0, 2, 1, 3, 4).reshape(GRID * CELL, GRID * CELL, 3)
