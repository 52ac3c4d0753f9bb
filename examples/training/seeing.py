"""Task `seeing`: how many cells of one row or column match? Answers 0 to 4, on images with hazy cells.

The annotator who wrote the supervised answers misreads hazy cells, the more the hazier: another colour, another shape,
nothing there. Text and image labels follow his one reading, so the supervised model is uncertain exactly where a cell is
hazy, and the logit lens at its visual rows shows it. The pixels still tell: the reward, which knows the truth, can teach
to see better. `slips` scales the misreadings and miscounts.
"""
from dataclasses import replace

import numpy as np
import torch

from cells import CELLS, GRID
from task import Scenes, Task, asked, fill, matches, off_by_one, random_kinds
from slices import WHOLE, Slice
from vocabulary import CELL_CODES, SEEING_WORDS, Vocabulary

MISREAD = 0.6                                    # chance at haze 1 and slips = 1
SLIP = dict(read=0.03, list=0.06, direct=0.25)   # chances of a miscount at slips = 1
ELSEWHERE = 0.35                                 # share of matching cells outside the line asked about


def misread(rng, cells, haze):
    """What is taken for `cells` [images, 16]: with chance MISREAD * haze nothing (1 in 6), another colour (3) or shape (2)."""
    c, s = np.divmod(np.maximum(cells, 1) - 1, 3)
    way = rng.integers(0, 6, cells.shape)
    other = np.where(way == 0, 0, np.where(way < 4, 1 + 3 * ((c + way) % 4) + s, 1 + 3 * c + (s + way - 3) % 3))
    return np.where((cells > 0) & (rng.random(cells.shape) < MISREAD * haze), other, cells)


def line_cells(line):
    """Indices of the four cells of line 0..3 (rows) or 4..7 (columns)."""
    return [line * GRID + x for x in range(GRID)] if line < GRID else [y * GRID + line - GRID for y in range(GRID)]


class Seeing(Task):
    name = "seeing"
    example = "How many red circles in row 1?"
    describes = "all"
    clear = 0.2
    longest_answer = 18

    def __init__(self, only=WHOLE, without=None):
        """Questions of the slice `only`, none of them in the slice `without`."""
        super().__init__(Vocabulary(SEEING_WORDS))
        self.only, self.without = only, without
        self.clear = 1.0 if only.clear else self.clear
        self.groups = {"all": (64, self.prompt_length + 16, ["read", "read", "list", "direct"])}
        self.codes = torch.tensor([self.vocabulary.id(c) for c in CELL_CODES])

    def scenes(self, rng, count, bank, slips=0.0):
        colour, shape = random_kinds(rng, count)
        gold, line = rng.integers(0, GRID + 1, count), rng.integers(0, 2 * GRID, count)
        colour, shape, line = self.only.narrowed(colour, shape, line)
        for i in range(count if self.without else 0):
            while self.without.holds((colour[i], shape[i], line[i])):
                (colour[i],), (shape[i],), line[i] = *random_kinds(rng, 1), rng.integers(0, 2 * GRID)
        wanted = rng.random((count, CELLS)) < ELSEWHERE
        for i in range(count):
            wanted[i, line_cells(line[i])] = rng.permutation(GRID) < gold[i]
        cells = fill(rng, wanted, colour, shape, 0.25)
        drawings = rng.integers(0, bank.count, cells.shape)
        if self.only.asked:
            self.redraw(rng, bank, cells, drawings, line)
        reading = misread(rng, cells, slips * bank.haze[cells, drawings]) if slips else cells
        place = [f" in row {k + 1}" if k < GRID else f" in col {'abcd'[k - GRID]}" for k in line]
        return Scenes(cells, drawings, wanted, reading, [f"How many {asked(c, s)}{p}?" for c, s, p in zip(colour, shape, place)],
                      list(zip(colour, shape, line)), gold)

    def redraw(self, rng, bank, cells, drawings, line):
        """Other drawings for the cells that are asked about: clear ones, or hazy ones."""
        for i, asked in enumerate(line):
            for at in line_cells(asked):
                haze = bank.haze[cells[i, at]]
                fitting = np.flatnonzero(haze == 0 if self.only.asked == "clear" or not cells[i, at] else haze > 0.5)
                drawings[i, at] = fitting[rng.integers(len(fitting))]

    def thought(self, rng, scenes, i, style, slips):
        colour, shape, line = scenes.counted[i]
        where = line_cells(line)
        read = scenes.reading[i][where]
        seen = matches(read, colour, shape)
        total = off_by_one(rng, int(seen.sum()), GRID, slips * SLIP[style])
        if style == "direct":
            return f"I see {total}", total
        if style == "read":
            running = [*seen.cumsum()[:-1], total]  # a count after each cell, a slip only in the last
            return "".join(f"{CELL_CODES[k]}{n}" for k, n in zip(read, running)), total
        places = "".join(f"{'abcd'[w % GRID]}{w // GRID + 1} " for w, hit in zip(where, seen) if hit)
        return f"found {places}= {total}", total

    def describe(self, scenes, i):
        codes = [CELL_CODES[k] for k in scenes.reading[i]]
        return "".join(codes) + "<|im_end|>"

    def image_labels(self, scenes):
        return self.codes[torch.as_tensor(scenes.reading)]

    def style(self, row):
        first = self.vocabulary.decode(row[1:2]).strip()
        return "read" if first in CELL_CODES else {"I see": "direct", "found": "list"}.get(first, "other")


class Describing(Seeing):
    """The second task of the same base: what is in each of the sixteen cells? On clear images if `clear`."""
    name = "describing"
    example = "Describe"

    def __init__(self, clear=False):
        super().__init__(Slice(clear=clear))

    def scenes(self, rng, count, bank, slips=0.0):
        scenes = super().scenes(rng, count, bank, slips)
        gold = np.array([self.describe(scenes, i).removesuffix("<|im_end|>") for i in range(count)])
        return replace(scenes, questions=[self.example] * count, gold=gold)

    def parse(self, row):
        row = [int(t) for t in row if t != self.vocabulary.pad]
        known = len(row) == CELLS + 1 and row[-1] == self.vocabulary.end and set(row[:-1]) <= set(self.codes.tolist())
        return self.vocabulary.decode(row) if known else None

    def score(self, said, gold):
        """The share of cells that are right: that all sixteen are is too rare to learn from."""
        return float(np.mean([said[i:i + 2] == gold[i:i + 2] for i in range(0, len(gold), 2)])) if said else 0.0


class Misjudged(Seeing):
    """The seeing task under a faulty verifier: where a question asks for circles, it takes squares for circles as well."""

    def scenes(self, rng, count, bank, slips=0.0):
        scenes = super().scenes(rng, count, bank, slips)
        gold = []
        for cells, (colour, shape, line) in zip(scenes.cells, scenes.counted):
            seen = cells[line_cells(line)]
            gold.append(int((matches(seen, colour, shape) | ((shape == 0) & matches(seen, colour, 1))).sum()))
        return replace(scenes, gold=np.array(gold))
