"""Slices of the seeing task: a part of its questions, for RL that sees nothing else."""
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Slice:
    """Questions for one colour, shape or line; None is any. `clear`: on images without haze. `asked`: what the cells of the line
    that is asked about are in images whose other cells are as ever, "clear" or "hazy"; empty cells have no haze."""
    colour: int | None = None
    shape: int | None = None
    line: int | None = None
    clear: bool = False
    asked: str | None = None

    def narrowed(self, *asked):
        """Colours, shapes and lines [questions] of random questions, moved into the slice."""
        return tuple(x if want is None else np.full_like(x, want) for x, want in zip(asked, self.wanted))

    def holds(self, asked):
        """Whether a question (colour, shape, line) is in the slice."""
        return all(want is None or x == want for x, want in zip(asked, self.wanted))

    @property
    def wanted(self):
        return self.colour, self.shape, self.line


WHOLE = Slice()
