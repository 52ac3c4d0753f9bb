"""Train a pair from nothing, measure it and export it.

usage: train.py --pair counting|seeing --seed N --out DIR [--smoke] [--threads 2]

Stages: vision, sft-1, sft-2, ... (the base), grpo (the RLVR model), then the report. Each leaves DIR/stages/NAME.pt and is
skipped when that file is there; delete it and those after it to run a stage again. A run that was cut off goes on from its
last save when the same command is given again. --smoke takes a handful of steps in every stage.

DIR/base and DIR/rlvr are the pair, DIR/report.json the figures, DIR/train.log the log.
"""
import argparse
import json
import time

import torch

import agree
import checkpoint
import evaluate
import grpo
import lens
import sft
import vision
from cells import Bank
from heldout import held_out
from model import TinyVL, initial
from run import Run
from settings import PAIRS, smoke
from task import tasks

WATCH_SEED, REPORT_SEED = 1, 0


def timed(run, stage, work):
    """Run a stage, say how long it took."""
    start = time.time()
    result = work()
    run.say(f"{stage}: {time.time() - start:.0f} s")
    return result


def train(run, pair, seed):
    """Every stage that the run's folder does not have yet."""
    task = tasks()[pair.task]()
    bank = timed(run, "drawing", lambda: Bank(pair.drawings, seed, pair.fields, task.clear))
    watch = held_out(task, pair.watch, WATCH_SEED)
    model = TinyVL(initial(task.vocabulary.size, seed))
    if not run.done("vision"):
        model = timed(run, "vision", lambda: vision.train(run, pair, task, bank, seed))
        run.save("vision", {"model": model.state_dict()})
    finished = sum(run.done(f"sft-{n + 1}") for n in range(len(pair.phases)))
    if finished < len(pair.phases):
        if not finished:
            model.load_state_dict(run.load("vision")["model"])
        timed(run, "sft", lambda: sft.train(run, pair, task, model, bank, seed, watch, finished))
        checkpoint.save(model, task.vocabulary, run.folder / "base")
    if not run.done("grpo"):
        model = checkpoint.load(run.folder / "base")  # from the very weights that are shipped
        timed(run, "grpo", lambda: grpo.train(run, pair, task, model, bank, seed, watch))
        checkpoint.save(model, task.vocabulary, run.folder / "rlvr")
        run.save("grpo", {"model": model.state_dict()})


def report(run, pair):
    """Measure the exported pair on the held-out set."""
    task = tasks()[pair.task]()
    held = held_out(task, pair.prompts, REPORT_SEED)
    base, rlvr = (checkpoint.load(run.folder / role) for role in ("base", "rlvr"))
    figures = {"base": evaluate.measure(base, task, held, pair.samples), "rlvr": evaluate.measure(rlvr, task, held, pair.samples),
               "lens": lens.table(base, rlvr, held)}
    (run.folder / "report.json").write_text(json.dumps(figures, indent=1) + "\n")
    for role in ("base", "rlvr"):
        run.say(f"{role} {json.dumps(figures[role])}")
    run.say("visual rows\n" + lens.markdown(figures["lens"]))
    if not agree.agree(run.folder, task, held_out(task, 8, REPORT_SEED), run.say):
        raise SystemExit("the exported pair does not answer as the trained one")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--pair", choices=PAIRS, required=True)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--out", required=True)
    ap.add_argument("--smoke", action="store_true")
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    pair = smoke(PAIRS[a.pair]) if a.smoke else PAIRS[a.pair]
    run = Run(a.out)
    train(run, pair, a.seed)
    timed(run, "report", lambda: report(run, pair))


if __name__ == "__main__":
    main()
