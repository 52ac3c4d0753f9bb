"""Everything that distinguishes the pairs: stages in steps, batch sizes, learning rates."""
from dataclasses import dataclass, replace

HELD_OUT = 10_000  # banks of held-out images have seeds from here on, those of training below


@dataclass(frozen=True)
class Phase:
    """One part of the supervised stage."""
    steps: int
    slips: float     # scale of the annotator's mistakes
    describe: float  # share of descriptions in the group of rows that may have them


@dataclass(frozen=True)
class Pair:
    task: str
    phases: tuple
    hold: int                 # supervised steps at full learning rate, before the linear decay
    image_loss: float = 0.0   # weight of the loss at image positions, last layer
    deep_loss: float = 0.0    # weight of the same, mean of the earlier layers
    trains: str = "language"  # what RL changes: "language", "merger" or "both"
    kl: float = 0.0           # weight of KL(policy || base) in RL
    iterations: int = 295
    rl_rate: float = 2e-4
    rl_schedule: int = 0      # iterations that the decay of the rate is for; 0: as many as are run
    vision_steps: int = 700
    vision_batch: int = 64
    sft_rate: float = 1.5e-3
    rl_prompts: int = 32
    rl_group: int = 8
    drawings: int = 2500      # of each cell content, for training
    fields: int = 6000        # noise fields
    compiled: bool = True     # compile the supervised forward
    watch: int = 96           # held-out prompts for the log
    prompts: int = 300        # held-out prompts for the report
    samples: int = 32
    every: int = 50           # steps between saves and log lines


PAIRS = {
    # schedules of the recipe, which were in seconds, as the steps they came to
    "counting": Pair("counting", (Phase(857, 0.1, 0.4), Phase(568, 0.1, 0.1), Phase(233, 0.7, 0.08)), hold=644),
    "seeing": Pair("seeing", (Phase(900, 0.1, 0.3), Phase(400, 1.0, 0.1)), hold=900,
                   image_loss=0.15, deep_loss=0.1, trains="both", iterations=300),
}


def smoke(pair):
    """The same stages, a handful of steps each."""
    return replace(pair, phases=tuple(replace(p, steps=4) for p in pair.phases), hold=6, vision_steps=6, vision_batch=8,
                   iterations=3, rl_prompts=8, rl_group=4, drawings=40, fields=50, compiled=False, watch=8, prompts=12,
                   samples=4, every=3)
