"""Task `counting`: how many cells of the whole image match? Answers 0 to 9 in five styles.

`slips` scales the annotator's miscounts, which are what makes the supervised model diverse. A line of reasoning stays
consistent with its own wrong counts.
"""
import numpy as np

from cells import CELLS, GRID
from task import Scenes, Task, asked, fill, off_by_one, random_kinds
from vocabulary import COUNTING_WORDS, Vocabulary

SLIP = dict(rows=0.10, sum=0.14, cols=0.14, direct=0.5, list=0.07, total=0.06)  # chances at slips = 1
OPENINGS = {"row": "rows", "col": "cols", "I see": "direct", "found": "list"}


class Counting(Task):
    name = "counting"
    example = "How many red circles?"
    describes = "long"

    def __init__(self):
        super().__init__(Vocabulary(COUNTING_WORDS))
        self.groups = {"long": (40, self.prompt_length + 33, ["rows", "cols"]),
                       "short": (56, self.prompt_length + 22, ["sum", "direct", "list"])}

    def scenes(self, rng, count, bank, slips=0.0):
        colour, shape = random_kinds(rng, count)
        gold = rng.integers(0, 10, count)
        wanted = rng.random((count, CELLS)).argsort(1).argsort(1) < gold[:, None]
        cells = fill(rng, wanted, colour, shape, 0.3)
        return Scenes(cells, rng.integers(0, bank.count, cells.shape), wanted, cells,
                      [f"How many {asked(c, s)}?" for c, s in zip(colour, shape)], list(zip(colour, shape)), gold)

    def thought(self, rng, scenes, i, style, slips):
        seen = scenes.match[i].reshape(GRID, GRID)
        total_slip = slips * SLIP["total"]
        if style == "direct":
            total = off_by_one(rng, int(seen.sum()), CELLS, slips * SLIP[style])
            return f"I see {total}", total
        if style == "list":
            miss = rng.random(seen.shape) < slips * SLIP[style] * np.where(seen, 1, 0.35)
            seen = seen ^ miss
            total = off_by_one(rng, int(seen.sum()), CELLS, total_slip)
            places = "".join(f"{'abcd'[x]}{y + 1} " for y, x in zip(*seen.nonzero()))
            return f"found {places}= {total}", total
        counts = [off_by_one(rng, int(k), GRID, slips * SLIP[style]) for k in seen.sum(0 if style == "cols" else 1)]
        total = off_by_one(rng, sum(counts), CELLS, total_slip)
        if style == "sum":
            return "+".join(map(str, counts)) + f"={total}", total
        return "".join(f"{style[:3]} {n + 1}: {k}\n" for n, k in enumerate(counts)) + f"total {total}", total

    def describe(self, scenes, i):
        codes = ["--" if k == 0 else "RGBY"[(k - 1) // 3] + "cst"[(k - 1) % 3] for k in scenes.cells[i]]
        return "\n".join("".join(codes[y * GRID:(y + 1) * GRID]) for y in range(GRID)) + "<|im_end|>"

    def style(self, row):
        first = self.vocabulary.decode(row[1:2]).strip()
        return "sum" if first.isdigit() else OPENINGS.get(first, "other")
