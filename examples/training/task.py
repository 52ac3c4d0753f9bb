"""What both tasks have in common: scenes, the prompt around a question, and the form of an answer."""
from dataclasses import dataclass

import numpy as np
import torch

from cells import CELLS, GRID
from vocabulary import ANSWER, BOX, COLOURS, SHAPES, THINK, UNBOX

VISUAL = slice(4, 4 + CELLS)  # rows of the prompt that hold the image


@dataclass
class Scenes:
    """A batch of images with one question each. Arrays are [images, 16] unless said otherwise."""
    cells: np.ndarray      # what is in each cell
    drawings: np.ndarray   # which drawing of the bank shows it
    match: np.ndarray      # whether the question counts it
    reading: np.ndarray    # what the annotator, who may misread, takes it for
    questions: list        # [images]
    counted: list          # [images] a (colour, shape, line) the question asks for
    gold: np.ndarray       # [images] the right answer


def prompt_text(question):
    return ("<|im_start|>user\n<|vision_start|>" + "<|image_pad|>" * CELLS
            + f"<|vision_end|>{question}<|im_end|>\n<|im_start|>assistant\n")


def asked(colour, shape):
    """`red circles`; colour 4 and shape 3 stand for any."""
    return f"{COLOURS[colour] if colour < 4 else 'solid'} {SHAPES[shape] if shape < 3 else 'shapes'}"


def matches(cells, colour, shape):
    """Where the contents `cells` are of that colour and shape; colour and shape broadcast against it."""
    c, s = np.divmod(np.maximum(cells, 1) - 1, 3)
    return (cells > 0) & ((colour == 4) | (c == colour)) & ((shape == 3) | (s == shape))


def random_kinds(rng, count):
    """What `count` questions ask for: (colour, shape), a third each with both, any shape, any colour."""
    kind = rng.integers(0, 3, count)
    return np.where(kind == 2, 4, rng.integers(0, 4, count)), np.where(kind == 1, 3, rng.integers(0, 3, count))


def fill(rng, wanted, colour, shape, empty):
    """Contents [images, 16] that match the question exactly where `wanted`; a share `empty` of the rest is empty."""
    shape_of = wanted.shape
    c, s = (np.broadcast_to(v[:, None], shape_of) for v in (colour, shape))
    hit = 1 + 3 * np.where(c < 4, c, rng.integers(0, 4, shape_of)) + np.where(s < 3, s, rng.integers(0, 3, shape_of))
    other_c, other_s = rng.integers(0, 4, shape_of), rng.integers(0, 3, shape_of)
    wrong = ((c == 4) | (other_c == c)) & ((s == 3) | (other_s == s))
    by_colour = (c < 4) & ((s == 3) | (rng.random(shape_of) < 0.5))
    other_c = np.where(wrong & by_colour, (other_c + rng.integers(1, 4, shape_of)) % 4, other_c)
    other_s = np.where(wrong & ~by_colour, (other_s + rng.integers(1, 3, shape_of)) % 3, other_s)
    miss = np.where(rng.random(shape_of) < empty, 0, 1 + 3 * other_c + other_s)
    return np.where(wanted, hit, miss)


def off_by_one(rng, count, high, chance):
    """`count`, or with that chance a neighbour of it within 0..high."""
    if rng.random() >= chance:
        return count
    return min(high, max(0, count + (1 if rng.random() < 0.5 else -1)))


def spelled(thought, answer):
    return f"{THINK}{thought}{ANSWER}{BOX}{answer}{UNBOX}<|im_end|>"


class Task:
    """A task is its vocabulary, its scenes and its ways of answering. Subclasses say what; this says how it becomes rows.

    `groups` are batches of rows of one length: name -> (rows, length, styles); rows of the group `describes` may be
    descriptions instead of answers.
    """
    name = describes = None
    clear = 1.0          # share of drawings without haze
    longest_answer = 32  # tokens to sample at most

    def __init__(self, vocabulary):
        self.vocabulary = vocabulary
        self.prompt_length = len(vocabulary.encode(prompt_text(self.example)))
        self.think, self.answer, self.box, self.unbox = map(vocabulary.id, (THINK, ANSWER, BOX, UNBOX))
        self.digits = {vocabulary.id(str(d)): d for d in range(10)}

    def scenes(self, rng, count, bank, slips=0.0):
        raise NotImplementedError

    def thought(self, rng, scenes, i, style, slips):
        """The reasoning and the answer it comes to, for scene i."""
        raise NotImplementedError

    def describe(self, scenes, i):
        raise NotImplementedError

    def prompts(self, scenes):
        """Token ids [images, prompt]."""
        return torch.tensor([self.vocabulary.encode(prompt_text(q)) for q in scenes.questions])

    def parse(self, row):
        """The integer an answer's token ids come to, or None where the form is not met."""
        row = [int(t) for t in row if t != self.vocabulary.pad]
        if len(row) < 6 or row[0] != self.think or row[-1] != self.vocabulary.end or row[-2] != self.unbox or self.box not in row:
            return None
        at = row.index(self.box)
        number = row[at + 1:-2]
        if row[at - 1] != self.answer or not 1 <= len(number) <= 2 or any(t not in self.digits for t in number):
            return None
        return int("".join(str(self.digits[t]) for t in number))

    def score(self, said, gold):
        """How right a parsed answer is, 0 to 1: the reward."""
        return float(said == gold)

    def style(self, row):
        """Name of the way an answer counts, by its first token after the opening."""
        raise NotImplementedError

    def supervised(self, rng, bank, group, slips, describe):
        """One batch: token ids [rows, length], labels (-100: not trained), patches, image labels [rows, 16] as token ids."""
        rows, length, styles = self.groups[group]
        scenes = self.scenes(rng, rows, bank, slips)
        ids = np.full((rows, length), self.vocabulary.pad)
        labels = np.full((rows, length), -100)
        for i in range(rows):
            if group == self.describes and rng.random() < describe:
                question, text = "Describe", self.describe(scenes, i)
            else:
                question, text = scenes.questions[i], spelled(*self.thought(rng, scenes, i, styles[rng.integers(len(styles))], slips))
            prompt, answer = self.vocabulary.encode(prompt_text(question)), self.vocabulary.encode(text)
            if len(prompt) + len(answer) > length:
                answer = self.vocabulary.encode(spelled(*self.thought(rng, scenes, i, "direct", slips)))
            ids[i, :len(prompt) + len(answer)] = prompt + answer
            labels[i, len(prompt):len(prompt) + len(answer)] = answer
        return torch.tensor(ids), torch.tensor(labels), bank.look(scenes.cells, scenes.drawings, rng), self.image_labels(scenes)

    def image_labels(self, scenes):
        """Token ids [images, 16] to predict at the visual rows, or None."""
        return None


def tasks():
    from counting import Counting
    from seeing import Seeing
    return {"counting": Counting, "seeing": Seeing}
