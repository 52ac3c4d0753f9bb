"""Tokenizer of the tiny pairs: printable ASCII byte by byte, plus whole words that both tasks use.

No merges, so any text survives decoding and encoding. Words are ordinary tokens, not special ones: an engine that skips
special tokens would drop them from its output. None is spelled like a tag (`<...>`), for the same reason.
"""
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
            "<|image_pad|>", "<|video_pad|>", "<|placeholder|>"]

COLOURS = ["red", "green", "blue", "yellow"]
SHAPES = ["circles", "squares", "triangles"]
THINK, ANSWER, BOX, UNBOX = "Counting: ", "\nAnswer: ", "$\\boxed{", "}$"

# The order fixes the ids: the shipped counting pair was trained with it.
COUNTING_WORDS = ["user", "assistant", THINK, ANSWER, BOX, UNBOX, "How many",
                  *(f" {w}" for w in [*COLOURS, "solid", *SHAPES, "shapes"]),
                  "row ", "col ", ": ", "total ", "I see ", "found ",
                  *(f"{column}{row} " for row in range(1, 5) for column in "abcd"), "Describe"]

# What a cell holds, in two characters; index 0 is the empty cell, 1 + 3 * colour + shape the others.
CELL_CODES = ["--", *(colour + shape for colour in "RGBY" for shape in "cst")]
SEEING_WORDS = [*COUNTING_WORDS, *CELL_CODES, " in row ", " in col "]


class Vocabulary:
    """A tokenizer over `words`, with the ids that training needs at hand."""

    def __init__(self, words):
        level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        plain = [level.pre_tokenize_str(c)[0][0] for c in "\n" + "".join(map(chr, range(32, 127)))]
        self.tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(plain)}, merges=[]))
        self.tokenizer.pre_tokenizer, self.tokenizer.decoder = level, decoders.ByteLevel()
        self.tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIALS])
        self.tokenizer.add_tokens([AddedToken(w, special=False, normalized=False) for w in words])
        self.id = self.tokenizer.token_to_id
        self.size = self.tokenizer.get_vocab_size()
        self.image, self.end, self.pad = map(self.id, ("<|image_pad|>", "<|im_end|>", "<|endoftext|>"))

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids):
        """Text up to the end of the turn, special tokens left out."""
        return self.tokenizer.decode([int(i) for i in ids if i not in (self.pad, self.end)], skip_special_tokens=False)
