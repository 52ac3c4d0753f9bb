"""Does transformers get the same greedy answers and logits from an exported pair as the fast forward does?

usage: agree.py PAIR --task seeing|counting [--prompts 8 --seed 0]      exit status 1 if not
"""
import argparse
import sys

import torch
from transformers import AutoModelForImageTextToText
from transformers.utils import logging

import checkpoint
import evaluate
from cells import GRID
from heldout import held_out
from task import tasks

logging.disable_progress_bar()
LOGITS = 1e-3  # sums in another order


@torch.no_grad()
def compare(folder, task, held):
    """(answers equal, answers, largest difference of a prompt's last logits) of one checkpoint folder."""
    ours = checkpoint.load(folder)
    theirs = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    texts = [task.vocabulary.decode(row) for row in evaluate.answers(ours, task, held, 1, None)]
    equal, worst = 0, 0.0
    for i, text in enumerate(texts):
        ids, patches = held.prompts[i:i + 1], held.patches[i:i + 1]
        film = patches[0].view(-1, 3, 1, 196).expand(-1, -1, 2, -1).reshape(-1, 1176)  # a still: two equal frames
        inputs = dict(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=film,
                      image_grid_thw=torch.tensor([[1, 2 * GRID, 2 * GRID]]),
                      mm_token_type_ids=(ids == task.vocabulary.image).int())
        theirs.model.rope_deltas = None  # or those of the previous prompt would be used
        got = theirs.generate(**inputs, do_sample=False, max_new_tokens=task.longest_answer, output_logits=True,
                              return_dict_in_generate=True)
        equal += task.vocabulary.decode(got.sequences[0, ids.shape[1]:].tolist()) == text
        worst = max(worst, (got.logits[0] - ours(ids, patches, ids.shape[1] - 1)[:, 0]).abs().max().item())
    return equal, len(texts), worst


def agree(pair, task, held, say):
    """Report on both checkpoints; whether all is equal."""
    good = True
    for role in ("base", "rlvr"):
        equal, count, worst = compare(f"{pair}/{role}", task, held)
        say(f"{role}: {equal} of {count} greedy answers as in transformers, logits differ by {worst:.1e} at most")
        good &= equal == count and worst < LOGITS
    return good


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("pair")
    ap.add_argument("--task", choices=tasks(), required=True)
    ap.add_argument("--prompts", type=int, default=8)
    ap.add_argument("--seed", type=int, default=0)
    a = ap.parse_args()
    task = tasks()[a.task]()
    sys.exit(not agree(a.pair, task, held_out(task, a.prompts, a.seed), print))


if __name__ == "__main__":
    main()
