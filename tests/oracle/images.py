"""Draw the fixture images of one family.

usage: images.py OUT --unit 28|32 [--seed 0] [--shapes image=8x6 small=2x3 wide=6x2 tall=4x5]

Sizes are in visual tokens, WIDTHxHEIGHT; `unit` is the side of one token in pixels (patch times merge), so no reader has to
resize. Gradients make neighbouring tokens similar, shapes make some differ: entropies then spread.
"""
import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SHAPES = {"image": (8, 6), "small": (2, 3), "wide": (6, 2), "tall": (4, 5)}


def draw(width, height, rng):
    y, x = np.mgrid[0:height, 0:width]
    x, y = x / width, y / height
    planes = []
    for _ in range(3):
        a, b, c, phase = rng.uniform(-1, 1, 4)
        waves = 0.15 * np.sin(rng.uniform(4, 30) * x + rng.uniform(4, 30) * y + 6 * phase)
        planes.append(0.5 + 0.4 * (a * x + b * y + c * x * y) + waves)
    img = Image.fromarray((np.clip(np.stack(planes, -1), 0, 1) * 255).astype(np.uint8))
    pen = ImageDraw.Draw(img)
    for i in range(7):
        x0, y0 = rng.uniform(-0.1, 0.8, 2) * (width, height)
        w, h = rng.uniform(0.1, 0.4, 2) * (width, height)
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        (pen.ellipse if i % 2 else pen.rectangle)([x0, y0, x0 + w, y0 + h], fill=colour)
    return img


def build(out, unit, seed=0, shapes=None):
    Path(out).mkdir(parents=True, exist_ok=True)
    for i, (name, (w, h)) in enumerate((shapes or SHAPES).items()):
        file = "image.png" if name == "image" else f"image_{name}.png"
        draw(w * unit, h * unit, np.random.default_rng([seed, i])).save(Path(out) / file, optimize=True)


def shape(text):
    name, size = text.split("=")
    w, h = size.split("x")
    return name, (int(w), int(h))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--unit", type=int, required=True)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--shapes", type=shape, nargs="*")
    a = ap.parse_args()
    build(a.out, a.unit, a.seed, dict(a.shapes) if a.shapes else None)


if __name__ == "__main__":
    main()
