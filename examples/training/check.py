"""What must hold before any training is worth its time. No trained model needed; half a minute.

usage: check.py

questions   every question has the same length, and its right answer follows from the cells
answers     every style, written without slips, comes to the right answer, is recognised, and survives decoding
held out    the same seed gives the same set, another seed another
gradient    log-probabilities with a shared prompt equal those of one forward per answer, and GRPO's update moves the merger
tokenizer   the shipped counting pair's, id for id
"""
import json
from pathlib import Path

import numpy as np
import torch

import grpo
from cells import Bank
from heldout import held_out
from model import TinyVL, initial
from sample import sample
from seeing import line_cells
from task import matches, prompt_text, spelled, tasks

SHIPPED = Path(__file__).parent / "../models/counting/base/tokenizer.json"


def check_questions(task, scenes):
    for i, question in enumerate(scenes.questions):
        assert len(task.vocabulary.encode(prompt_text(question))) == task.prompt_length, question
        colour, shape, *line = scenes.counted[i]
        counted = matches(scenes.cells[i], colour, shape)
        assert counted[line_cells(line[0]) if line else slice(None)].sum() == scenes.gold[i], question


def check_answers(task, scenes, rng):
    for rows, length, styles in task.groups.values():
        for style in styles:
            for i in range(len(scenes.gold)):
                thought, answer = task.thought(rng, scenes, i, style, 0.0)
                ids = task.vocabulary.encode(spelled(thought, answer))
                assert answer == scenes.gold[i] and task.parse(ids) == answer and task.style(ids) == style, thought
                assert task.vocabulary.encode(task.vocabulary.decode(ids)) == ids[:-1], thought
                assert len(ids) <= task.longest_answer and task.prompt_length + len(ids) <= length or style == "list", thought


def check_held_out(task):
    a, b, c = (held_out(task, 5, seed) for seed in (3, 3, 4))
    assert all((x == y).all() for x, y in zip(a.images, b.images)) and a.scenes.questions == b.scenes.questions
    assert not all((x == y).all() for x, y in zip(a.images, c.images))


def check_gradient(task):
    model, held = TinyVL(initial(task.vocabulary.size, 0)), held_out(task, 4, 0)
    features = model.tower(held.patches)
    answers = sample(model, task, held.prompts, model.merger(features).detach(), 3, torch.Generator().manual_seed(0), 9).view(4, 3, -1)
    shared = grpo.answer_logprobs(model, held.prompts, model.merger(features), answers)
    for i in range(4):
        for j in range(3):
            ids = torch.cat([held.prompts[i], answers[i, j]])[None, :-1]
            alone = model(ids, held.patches[i:i + 1], task.prompt_length - 1).log_softmax(-1)[0].gather(-1, answers[i, j][:, None])[:, 0]
            assert (alone - shared[i, j]).abs().max() < 1e-4
    shared.sum().backward()
    assert model["visual.merger.mlp.2.weight"].grad.abs().max() > 0


def main():
    for name, build in tasks().items():
        task, rng = build(), np.random.default_rng(0)
        scenes = task.scenes(rng, 200, Bank(20, 0, clear=task.clear))
        check_questions(task, scenes)
        check_answers(task, scenes, rng)
        check_held_out(task)
        check_gradient(task)
        print("ok", name, flush=True)
    assert json.loads(tasks()["counting"]().vocabulary.tokenizer.to_str()) == json.loads(SHIPPED.read_text())
    print("ok tokenizer")


if __name__ == "__main__":
    main()
