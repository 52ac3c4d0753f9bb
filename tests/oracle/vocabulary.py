"""Tokenizer and chat template shared by all tiny pairs.

The engine decodes and re-encodes prompts, and prompts contain whatever a random model emitted before. Bytes without
merges survive that round trip for any text; a trained vocabulary would not.
"""
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
            "<|image_pad|>", "<|video_pad|>", "<|placeholder|>", "<think>", "</think>"]

IMAGE_TAG = "<|vision_start|><|image_pad|><|vision_end|>"

# Content is a string (tags already in front of the text: Qwen2-VL, Qwen2.5-VL in the engine) or a list of parts (Qwen3-VL).
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for p in m['content'] %}"
    "{% if p['type'] == 'image' %}" + IMAGE_TAG + "{% else %}{{ p['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build():
    """The tokenizer and the number of its plain (non-special) tokens, which come first."""
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    ascii_text = "\n" + "".join(map(chr, range(32, 127)))
    plain = [level.pre_tokenize_str(c)[0][0] for c in ascii_text]
    tok = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(plain)}, merges=[]))
    tok.pre_tokenizer, tok.decoder = level, decoders.ByteLevel()
    tok.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIALS])
    return tok, len(plain)
