"""The pairs of the map: RL from one base on a part of what it learned. What each axis varies, in one table."""
from dataclasses import dataclass, replace

from seeing import Describing, Misjudged, Seeing
from settings import PAIRS
from slices import WHOLE, Slice

RATE = 3e-4
RED_CIRCLES_ROW_1 = Slice(colour=0, shape=0, line=0)
CLEAR = replace(RED_CIRCLES_ROW_1, clear=True)


@dataclass(frozen=True)
class Narrowing:
    """One pair: what RL sees, and how it learns. `slice` is None where RL sees the other task, descriptions."""
    slice: Slice | None
    rate: float = RATE
    iterations: int = 300
    trains: str = "both"
    kl: float = 0.0
    misjudged: bool = False

    def pair(self):
        """The settings of RL; the decay of the rate is that of 300 iterations, so that a shorter run is a part of the longer one."""
        return replace(PAIRS["seeing"], rl_rate=self.rate, iterations=self.iterations, rl_schedule=300, trains=self.trains, kl=self.kl)

    def trained_on(self):
        """The task that RL sees."""
        if self.slice is None:
            return Describing()
        return Misjudged(self.slice) if self.misjudged else Seeing(self.slice)

    def tests(self):
        """Name -> task of each test: what RL saw, what it did not, and the task that it left alone."""
        if self.slice is None:
            return {"inside": Describing(clear=True), "outside": Seeing()}
        without = None if self.slice == WHOLE else replace(self.slice, clear=False)
        inside = {"inside": Seeing(self.slice)} if without else {}
        looks = {f"outside-{asked}": Seeing(Slice(asked=asked), without) for asked in ("clear", "hazy")}
        return inside | {"outside": Seeing(without=without)} | looks | {"second": Describing(clear=True)}


NARROWINGS = {
    # what RL sees
    "whole": Narrowing(WHOLE),
    "red": Narrowing(Slice(colour=0)),
    "circles": Narrowing(Slice(shape=0)),
    "row": Narrowing(Slice(line=0)),
    "narrow": Narrowing(RED_CIRCLES_ROW_1),
    "describe": Narrowing(None),
    # how long, and how fast
    "narrow-100": Narrowing(RED_CIRCLES_ROW_1, iterations=100),
    "narrow-slow": Narrowing(RED_CIRCLES_ROW_1, rate=1.5e-4),
    # what it may change
    "narrow-language": Narrowing(RED_CIRCLES_ROW_1, trains="language"),
    "narrow-merger": Narrowing(RED_CIRCLES_ROW_1, trains="merger"),
    # held to the base
    "narrow-kl": Narrowing(RED_CIRCLES_ROW_1, kl=0.1),
    # on what the base is certain of by itself, and under a verifier that denies it
    "narrow-clear": Narrowing(CLEAR),
    "misjudged": Narrowing(CLEAR, misjudged=True),
}
