"""Draw pictures that have to be resized, and the same as the published processor resizes them.

usage: resized.py OUT [--unit 28] [--min-pixels 3136] [--max-pixels 12544]

Writes NAME.png and NAME_resized.png into OUT: sides by transformers' own rule for the Qwen families, pixels by Pillow's bicubic filter,
which its processor uses. A reader that resizes NAME.png must see what it sees in NAME_resized.png, which needs no resizing.
"""
import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from images import draw

PICTURES = {"smaller": (250, 190), "larger": (45, 31), "wider": (97, 61), "narrow": (20, 90), "dot": (3, 2)}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--unit", type=int, default=28)
    ap.add_argument("--min-pixels", type=int, default=3136)
    ap.add_argument("--max-pixels", type=int, default=12544)
    a = ap.parse_args()
    Path(a.out).mkdir(parents=True, exist_ok=True)
    for i, (name, (width, height)) in enumerate(PICTURES.items()):
        rng = np.random.default_rng([7, i])
        # Grain, as a photograph has it, so that a wrong filter shows.
        grain = rng.normal(0, 12, (height, width, 3))
        picture = Image.fromarray(np.clip(np.asarray(draw(width, height, rng)) + grain, 0, 255).astype(np.uint8))
        high, wide = smart_resize(height, width, a.unit, a.min_pixels, a.max_pixels)
        picture.save(Path(a.out) / f"{name}.png", optimize=True)
        picture.resize((wide, high), Image.BICUBIC).save(Path(a.out) / f"{name}_resized.png", optimize=True)
        print(f"{name}: {width}x{height} -> {wide}x{high}")


if __name__ == "__main__":
    main()
