"""Train one pair of the map: RL from the shipped seeing base on a slice of what it learned.

usage: narrow.py NAME --seed N --out DIR [--base FOLDER] [--smoke] [--threads 2]

NAME is one of narrowings.py. DIR/base and DIR/rlvr are the pair, DIR/report.json says how both do on each test of the pair
and what RL moved, DIR/train.log is the log. A run that was cut off goes on from its last save when the command is given
again.
"""
import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path

import torch

import checkpoint
import evaluate
import grpo
import lens
from cells import Bank
from heldout import held_out
from narrowings import NARROWINGS
from run import Run
from seeing import Seeing
from settings import smoke
from train import REPORT_SEED, WATCH_SEED, timed

BASE = Path(__file__).parent / "../models/seeing/base"


def train(run, narrowing, pair, seed, base):
    """RL, unless the run's folder has it."""
    if run.done("grpo"):
        return
    task, model = narrowing.trained_on(), checkpoint.load(base)
    bank = timed(run, "drawing", lambda: Bank(pair.drawings, seed, pair.fields, task.clear))
    watch = held_out(Seeing(), pair.watch, WATCH_SEED)
    timed(run, "grpo", lambda: grpo.train(run, pair, task, model, bank, seed, watch))
    checkpoint.save(model, task.vocabulary, run.folder / "rlvr")
    shutil.copytree(base, run.folder / "base", dirs_exist_ok=True)
    run.save("grpo", {"model": model.state_dict()})


def report(run, narrowing, pair):
    """How both models do on each test, and what RL moved at the visual rows of the whole task."""
    base, rlvr = (checkpoint.load(run.folder / role) for role in ("base", "rlvr"))
    figures = {}
    for name, task in narrowing.tests().items():
        held = held_out(task, pair.prompts, REPORT_SEED)
        figures[name] = {role: evaluate.measure(model, task, held, pair.samples) for role, model in (("base", base), ("rlvr", rlvr))}
        for role, measured in figures[name].items():
            run.say(f"{name} {role} {json.dumps(measured)}")
    figures["lens"] = lens.table(base, rlvr, held_out(Seeing(), pair.prompts, REPORT_SEED))
    run.say("visual rows\n" + lens.markdown(figures["lens"]))
    (run.folder / "report.json").write_text(json.dumps(figures, indent=1) + "\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("name", choices=NARROWINGS)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--out", required=True)
    ap.add_argument("--base", default=BASE)
    ap.add_argument("--smoke", action="store_true")
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    narrowing = NARROWINGS[a.name]
    pair = replace(narrowing.pair(), watch=64, prompts=150, samples=8)
    pair = smoke(pair) if a.smoke else pair
    run = Run(a.out)
    train(run, narrowing, pair, a.seed, a.base)
    if not (run.folder / "report.json").exists():
        timed(run, "report", lambda: report(run, narrowing, pair))


if __name__ == "__main__":
    main()
