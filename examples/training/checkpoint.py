"""A model as a checkpoint folder that transformers and mistral.rs 0.8.1 load: weights in bf16 under the published names."""
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from cells import MEAN, STD
from model import SECTIONS, TinyVL

CHAT_TEMPLATE = ("{% for m in messages %}<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n{% endfor %}"
                 "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def config(vocabulary, s):
    vision = dict(depth=s.vision_depth, hidden_size=s.vision_hidden, out_hidden_size=s.hidden, hidden_act="silu",
                  intermediate_size=s.vision_mlp, num_heads=s.vision_heads, in_chans=3, in_channels=3, patch_size=14,
                  spatial_merge_size=2, spatial_patch_size=14, temporal_patch_size=2, window_size=112,
                  fullatt_block_indexes=[1], tokens_per_second=2)
    tokens = {f"{key}_token_id": vocabulary.id(f"<|{word}|>") for key, word in (
        ("image", "image_pad"), ("video", "video_pad"), ("vision_start", "vision_start"), ("vision_end", "vision_end"))}
    return dict(architectures=["Qwen2_5_VLForConditionalGeneration"], model_type="qwen2_5_vl", vocab_size=vocabulary.size,
                hidden_size=s.hidden, intermediate_size=s.mlp, num_hidden_layers=s.layers, num_attention_heads=s.heads,
                num_key_value_heads=s.kv_heads, hidden_act="silu", max_position_embeddings=4096, max_window_layers=s.layers,
                rms_norm_eps=1e-6, tie_word_embeddings=False, rope_theta=1e6, use_sliding_window=False, sliding_window=4096,
                rope_scaling={"type": "mrope", "mrope_section": SECTIONS}, **tokens, torch_dtype="bfloat16",
                vision_config=vision)


PREPROCESSOR = dict(min_pixels=3136, max_pixels=1003520, patch_size=14, temporal_patch_size=2, merge_size=2,
                    image_mean=MEAN.tolist(), image_std=STD.tolist(), image_processor_type="Qwen2VLImageProcessor",
                    processor_class="Qwen2_5_VLProcessor", do_convert_rgb=True, do_rescale=True, rescale_factor=1 / 255,
                    do_resize=True, do_normalize=True, resample=3)


def save(model, vocabulary, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: model[name].detach().to(torch.bfloat16).contiguous() for name in model.names}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    vocabulary.tokenizer.save(str(folder / "tokenizer.json"))
    for name, value in {
        "config": config(vocabulary, model.sizes), "preprocessor_config": PREPROCESSOR,
        "generation_config": {"eos_token_id": [vocabulary.end], "pad_token_id": vocabulary.pad},
        "tokenizer_config": {"tokenizer_class": "Qwen2Tokenizer", "chat_template": CHAT_TEMPLATE, "eos_token": "<|im_end|>",
                             "pad_token": "<|endoftext|>", "bos_token": None, "unk_token": None, "model_max_length": 4096},
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")


def load(folder):
    """The stored weights in f32."""
    return TinyVL(load_file(Path(folder) / "model.safetensors"))
