"""A training run's folder: its log, and loops that can be cut off at any time and started again."""
import os
import time
from pathlib import Path

import numpy as np
import torch


class Run:
    """`folder/train.log` and `folder/stages/*.pt`, one file for each finished stage and `.part` for the one under way."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.stages = self.folder / "stages"
        self.stages.mkdir(parents=True, exist_ok=True)

    def say(self, text):
        line = f"{time.strftime('%H:%M:%S')} {text}"
        print(line, flush=True)
        with open(self.folder / "train.log", "a") as log:
            log.write(line + "\n")

    def done(self, stage):
        return (self.stages / f"{stage}.pt").exists()

    def load(self, stage):
        return torch.load(self.stages / f"{stage}.pt")

    def save(self, stage, state):
        """Write the finished stage and forget its parts."""
        store(self.stages / f"{stage}.pt", state)
        (self.stages / f"{stage}.part").unlink(missing_ok=True)

    def steps(self, stage, total, every, **parts):
        """Yield 0..total-1. `parts` are saved each `every` steps and restored when the stage starts again."""
        file, first = self.stages / f"{stage}.part", 0
        if file.exists():
            kept = torch.load(file)
            first = kept.pop("step")
            for name, state in kept.items():
                restore(parts[name], state)
            self.say(f"{stage}: going on at step {first}")
        for step in range(first, total):
            if step > first and step % every == 0:
                store(file, {"step": step} | {name: snapshot(part) for name, part in parts.items()})
            yield step


def store(file, state):
    """Write beside the file and rename: a cut leaves the old one."""
    fresh = file.with_suffix(".new")
    torch.save(state, fresh)
    os.replace(fresh, file)


def snapshot(part):
    if isinstance(part, np.random.Generator):
        return part.bit_generator.state
    return part.get_state() if isinstance(part, torch.Generator) else part.state_dict()


def restore(part, state):
    if isinstance(part, np.random.Generator):
        part.bit_generator.state = state
    elif isinstance(part, torch.Generator):
        part.set_state(state)
    else:
        part.load_state_dict(state)
