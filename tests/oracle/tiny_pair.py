"""Write a random-weights pair OUT/base, OUT/rlvr that transformers and mistral.rs 0.8.1 both load.

usage: tiny_pair.py OUT --family qwen2_vl|qwen2_5_vl|qwen3_vl [--hidden 64 --layers L --seed 0 --drift 0.05 --vocab 0 ...]

`rlvr` is `base` with every tensor moved by `drift` of its own standard deviation. Norm weights are random too: a reader
that applies the base's final norm to the RLVR model must fail a test. `--vocab` pads the vocabulary to time a head of
realistic size.
"""
import argparse
import json
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.utils import logging

import vocabulary
from families import FAMILIES, HEAD_DIM, Sizes

logging.disable_progress_bar()
DTYPES = {"f32": ("float32", torch.float32), "bf16": ("bfloat16", torch.bfloat16)}


def scale(name, p, tied):
    """Standard deviation that keeps activations and logits near one: fan-in for matrices, more where vectors are looked up."""
    if name.endswith("embed_tokens.weight") and not tied:
        return 1.0
    if name.endswith("pos_embed.weight"):
        return 0.3
    return p[0].numel() ** -0.5


@torch.no_grad()
def randomize(model, gen, tied):
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=gen)
        if p.ndim >= 2:
            p.copy_(noise * scale(name, p, tied))
        else:
            p.copy_(noise * 0.1 + (0.0 if name.endswith("bias") else 1.0))


@torch.no_grad()
def move(model, gen, drift):
    for p in model.parameters():
        p.add_(torch.randn(p.shape, generator=gen) * p.std() * drift)


@torch.no_grad()
def silence_specials(model, first, end, tied):
    """Greedy text must stay plain. A tied head cannot be zeroed: the tokens would lose their embeddings as well. Rows that only pad
    the vocabulary stay, or a head of realistic size would have next to no entropy to rank."""
    model.lm_head.weight[first:end] *= 0.1 if tied else 0.0


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


def write_side_files(folder, family, tok):
    ids = {s: tok.token_to_id(s) for s in vocabulary.SPECIALS}
    tok.save(str(folder / "tokenizer.json"))
    write_json(folder / "preprocessor_config.json", family.preprocessor)
    write_json(folder / "generation_config.json", {"eos_token_id": [ids["<|im_end|>"]], "pad_token_id": ids["<|endoftext|>"]})
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "Qwen2Tokenizer", "chat_template": vocabulary.CHAT_TEMPLATE, "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>", "bos_token": None, "unk_token": None, "model_max_length": 4096})


def require_published_names(weights, prefixes):
    """transformers renames tensors on load and back on save; mistral.rs does not, so a change there must be noticed here."""
    with safe_open(weights, "pt") as f:
        names = list(f.keys())
    allowed = (*prefixes, prefixes[0].removesuffix("layers.") + "embed_tokens.", prefixes[0].removesuffix("layers.") + "norm.",
               "lm_head.")
    strangers = [n for n in names if not n.startswith(allowed)]
    missing = [p for p in prefixes if not any(n.startswith(p) for n in names)]
    if strangers or missing:
        raise SystemExit(f"{weights}: tensor names changed: unexpected {strangers[:3]}, nothing under {missing}")


def build(out, family, hidden=64, layers=None, seed=0, drift=0.05, vocab=0, dtype="f32", intermediate=None,
          vision_hidden=None, tied=False):
    """Write the pair; the arguments are those of the command line."""
    spec = FAMILIES[family]
    if hidden % HEAD_DIM:
        raise SystemExit(f"--hidden {hidden}: must be a multiple of the head size {HEAD_DIM}")
    tok, plain = vocabulary.build()
    sizes = Sizes(hidden, layers or spec.default_layers, intermediate or int(hidden * spec.default_intermediate),
                  vision_hidden or spec.default_vision_hidden, max(vocab, tok.get_vocab_size()), tied, DTYPES[dtype][0],
                  tok.token_to_id("<|im_end|>"))
    config = dict(architectures=[spec.architecture], **spec.config(sizes))
    for key, token in (("image_token_id", "<|image_pad|>"), ("video_token_id", "<|video_pad|>"),
                       ("vision_start_token_id", "<|vision_start|>"), ("vision_end_token_id", "<|vision_end|>")):
        config[key] = tok.token_to_id(token)
    gen = torch.Generator().manual_seed(seed)
    model = None
    for role in ("base", "rlvr"):
        folder = Path(out) / role
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "config.json", config)
        if model is None:  # built from the very file that is shipped
            model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32)
            randomize(model, gen, tied)
        else:
            move(model, gen, drift)
        silence_specials(model, plain, tok.get_vocab_size(), tied)
        state = {k: v.clone() for k, v in model.state_dict().items()} if dtype != "f32" else None
        model.to(DTYPES[dtype][1]).save_pretrained(folder, max_shard_size="100GB")
        if state:  # the RLVR model drifts from the unrounded base
            model.float().load_state_dict(state)
        write_json(folder / "config.json", config)
        (folder / "model.safetensors").chmod(0o644)
        write_side_files(folder, spec, tok)
        require_published_names(folder / "model.safetensors", spec.prefixes)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--family", choices=FAMILIES, required=True)
    ap.add_argument("--hidden", type=int, default=64)
    ap.add_argument("--layers", type=int)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--drift", type=float, default=0.05)
    ap.add_argument("--vocab", type=int, default=0)
    ap.add_argument("--dtype", choices=DTYPES, default="f32")
    ap.add_argument("--intermediate", type=int)
    ap.add_argument("--vision-hidden", type=int)
    ap.add_argument("--tied", action="store_true", help="one matrix for embedding and head")
    build(**vars(ap.parse_args()))


if __name__ == "__main__":
    main()
