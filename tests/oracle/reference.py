"""What transformers makes of the tiny random models of tests/families: entropies of the first residuals, for tests/families/reference.rs.

    reference.py DIR     reads DIR/NAME, which the test `write_reference_models` made, and writes tests/families/reference/NAME.safetensors

Pixels are cut and normalised here, from images that no processor resizes but for the small whole ones (bicubic of LLaVA-NeXT, bilinear of
Llama 4).
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers.models.mllama.modeling_mllama as mllama
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.modeling_outputs import BaseModelOutput, MoeCausalLMOutputWithPast

REFERENCES = Path(__file__).resolve().parents[1] / "families" / "reference"
# transformers 5 asks Llama 4's text model for a field that its output does not have.
MoeCausalLMOutputWithPast.image_outputs = None


def intermediate_states_before_their_layers(self, hidden_states, attention_mask=None):
    """Mllama's vision encoder as published, and in transformers 4.46; later versions take the states after the layers."""
    states = ()
    for layer in self.layers:
        states += (hidden_states,)
        hidden_states = layer(hidden_states=hidden_states, attention_mask=attention_mask)
    return BaseModelOutput(last_hidden_state=hidden_states, hidden_states=states)


mllama.MllamaVisionEncoder.forward = intermediate_states_before_their_layers


class Pictures:
    """Images and how their pixels are normalised."""

    def __init__(self, folder):
        processor = json.loads((folder / "base" / "preprocessor_config.json").read_text())
        self.mean, self.std = np.array(processor["image_mean"]), np.array(processor["image_std"])
        self.images = [Image.open(file).convert("RGB") for file in sorted(folder.glob("image-*.png"))]

    def pixels(self, image):
        """`[channels, height, width]`."""
        values = (np.asarray(image, dtype=np.float64) / 255 - self.mean) / self.std
        return torch.from_numpy(values.transpose(2, 0, 1)).float()

    def tiles(self, image, side):
        width, height = image.size
        boxes = [(x, y, x + side, y + side) for y in range(0, height, side) for x in range(0, width, side)]
        return [self.pixels(image.crop(box)) for box in boxes]


def llava(config, tokens, pictures):
    tokens = with_placeholders(tokens, config.image_token_index)
    return {"input_ids": tokens, "pixel_values": torch.stack([pictures.pixels(image) for image in pictures.images])}


def llava_next(config, tokens, pictures):
    side = config.vision_config.image_size
    tokens = with_placeholders(tokens, config.image_token_index)
    tiles = [
        torch.stack([pictures.pixels(image.resize((side, side), Image.BICUBIC)), *pictures.tiles(image, side)])
        for image in pictures.images
    ]
    sizes = torch.tensor([image.size[::-1] for image in pictures.images])
    return {"input_ids": tokens, "pixel_values": torch.stack(tiles), "image_sizes": sizes}


def with_placeholders(tokens, image):
    """The engine has 0 in the place of LLaVA's placeholders; the longest run of them is the image."""
    tokens, best, start = tokens.clone(), (0, 0), None
    for index, token in enumerate([*tokens[0].tolist(), 1]):
        if token == 0 and start is None:
            start = index
        if token != 0 and start is not None:
            best, start = max(best, (index - start, start)), None
    length, start = best
    tokens[0, start : start + length] = image
    return tokens


def idefics2(config, tokens, pictures):
    """Each image in four, and whole; smaller ones are padded."""
    parts = []
    for image in pictures.images:
        width, height = image.size[0] // 2, image.size[1] // 2
        boxes = [(x, y, x + width, y + height) for y in (0, height) for x in (0, width)]
        parts += [pictures.pixels(image.crop(box)) for box in boxes] + [pictures.pixels(image)]
    height, width = (max(part.shape[axis] for part in parts) for axis in (1, 2))
    values, mask = torch.zeros(1, len(parts), 3, height, width), torch.zeros(1, len(parts), height, width)
    for index, part in enumerate(parts):
        values[0, index, :, : part.shape[1], : part.shape[2]] = part
        mask[0, index, : part.shape[1], : part.shape[2]] = 1
    return {"input_ids": tokens, "pixel_values": values, "pixel_attention_mask": mask.long()}


def llama4(config, tokens, pictures):
    side, tiles = config.vision_config.image_size, []
    for image in pictures.images:
        own = pictures.tiles(image, side)
        tiles += own + ([pictures.pixels(image.resize((side, side), Image.BILINEAR))] if len(own) > 1 else [])
    return {"input_ids": tokens, "pixel_values": torch.stack(tiles)}


def mllama_inputs(config, tokens, pictures):
    side, most, ratios = (getattr(config.vision_config, name) for name in ("image_size", "max_num_tiles", "supported_aspect_ratios"))
    count, rows = len(pictures.images), tokens.shape[1]
    values, ratio_ids = torch.zeros(1, count, most, 3, side, side), torch.zeros(1, count, dtype=torch.long)
    tile_mask, cross = torch.zeros(1, count, most, dtype=torch.long), torch.zeros(1, rows, count, most, dtype=torch.long)
    places = [*(tokens[0] == config.image_token_index).nonzero().flatten().tolist(), rows]
    for index, image in enumerate(pictures.images):
        tiles = torch.stack(pictures.tiles(image, side))
        values[0, index, : len(tiles)], tile_mask[0, index, : len(tiles)] = tiles, 1
        ratio_ids[0, index] = ratios.index([image.size[1] // side, image.size[0] // side]) + 1
        cross[0, places[index] : places[index + 1], index, : len(tiles)] = 1
    return {
        "input_ids": tokens,
        "pixel_values": values,
        "aspect_ratio_ids": ratio_ids,
        "aspect_ratio_mask": tile_mask,
        "cross_attention_mask": cross,
    }


def mistral3(config, tokens, pictures):
    parts = [pictures.pixels(image) for image in pictures.images]
    height, width = (max(part.shape[axis] for part in parts) for axis in (1, 2))
    values = torch.zeros(len(parts), 3, height, width)
    for index, part in enumerate(parts):
        values[index, :, : part.shape[1], : part.shape[2]] = part
    return {"input_ids": tokens, "pixel_values": values, "image_sizes": torch.tensor([part.shape[1:] for part in parts])}


def gemma3(config, tokens, pictures):
    values = torch.stack([pictures.pixels(image) for image in pictures.images])
    return {"input_ids": tokens, "pixel_values": values, "token_type_ids": (tokens == config.image_token_index).int()}


def qwen3_vl(config, tokens, pictures):
    """Patches of merged squares, one after the other; an image is its own second frame."""
    vision = config.vision_config
    patch, merge, frames = vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size
    patches, grids = [], []
    for image in pictures.images:
        values = pictures.pixels(image)
        down, across = values.shape[1] // patch, values.shape[2] // patch
        cut = values.reshape(3, down // merge, merge, patch, across // merge, merge, patch)
        cut = cut.permute(1, 4, 2, 5, 0, 3, 6).reshape(down * across, 3, 1, patch, patch)
        patches.append(cut.expand(-1, -1, frames, -1, -1).reshape(down * across, -1))
        grids.append([1, down, across])
    return {
        "input_ids": tokens,
        "pixel_values": torch.cat(patches),
        "image_grid_thw": torch.tensor(grids),
        "mm_token_type_ids": (tokens == config.image_token_id).int(),
    }


def configuration(folder):
    """As this version of transformers wants it: the tiny models' files have what the engine reads, and little else."""
    config = json.loads((folder / "base" / "config.json").read_text())
    kinds = {"MllamaForConditionalGeneration": "mllama", "Gemma3ForConditionalGeneration": "gemma3"}
    config.setdefault("model_type", kinds.get(config["architectures"][0]))
    text = config["text_config"]
    text.setdefault("pad_token_id", 0)
    if "attn_temperature_tuning" in text:
        text["attn_temperature_tuning"] = bool(text["attn_temperature_tuning"])
    (folder / "config.json").write_text(json.dumps(config))
    return AutoConfig.from_pretrained(folder)


INPUTS = {
    "llava": llava,
    "llava_next": llava_next,
    "idefics2": idefics2,
    "mistral3": mistral3,
    "llama4": llama4,
    "mllama": mllama_inputs,
    "gemma3": gemma3,
    "qwen3_vl_moe": qwen3_vl,
    "qwen3_5": qwen3_vl,
}


def decoder(model):
    """Layers, final norm and head."""
    if hasattr(model, "language_model") and hasattr(model.language_model, "lm_head"):
        text = model.language_model.model
        return text.layers, text.norm, model.language_model.lm_head
    text = getattr(model.model, "language_model", None) or model.model.text_model
    return text.layers, text.norm, model.lm_head


@torch.no_grad()
def entropies(model, inputs, count):
    """`[count, rows]`, in nats: of what enters the first decoder layers, each."""
    layers, norm, head = decoder(model)
    seen = []

    def look(_, args, kwargs):
        seen.append((args[0] if args else kwargs["hidden_states"])[0].clone())

    hooks = [layer.register_forward_pre_hook(look, with_kwargs=True) for layer in layers[:count]]
    model(**inputs, attention_mask=torch.ones_like(inputs["input_ids"]), use_cache=False)
    for hook in hooks:
        hook.remove()
    cap = getattr(model.config.text_config, "final_logit_softcapping", None)
    logits = [head(norm(residual)).double() for residual in seen]
    logs = [(torch.tanh(row / cap) * cap if cap else row).log_softmax(-1) for row in logits]
    return torch.stack([-(log.exp() * log).sum(-1) for log in logs]).float()


def main(folder):
    REFERENCES.mkdir(exist_ok=True)
    for name, inputs in INPUTS.items():
        trace = load_file(folder / name / "trace.safetensors")
        config = configuration(folder / name)
        model = AutoModelForImageTextToText.from_pretrained(
            folder / name / "base", config=config, dtype=torch.float32, attn_implementation="eager"
        ).eval()
        tokens = trace["token_ids"].long()
        count = sum(key.startswith("entropy.base.") for key in trace)
        found = entropies(model, inputs(config, tokens[None], Pictures(folder / name)), count)
        traced = torch.stack([trace[f"entropy.base.{index}"] for index in range(count)])
        print(f"{name}: {tokens.numel()} rows, {count} residuals, traced entropies within {(found - traced).abs().max():.1e} nats")
        save_file({"token_ids": tokens, "entropy": found.contiguous()}, REFERENCES / f"{name}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
