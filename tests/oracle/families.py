"""The configuration files of each model family, in the shape the published checkpoints have.

Both readers must accept the same file: transformers takes old and new shapes, mistral.rs only the published one
(flat text fields for Qwen2-VL and Qwen2.5-VL, `text_config` for Qwen3-VL). So the files are written here by hand
rather than by `save_pretrained`, which nests everything.
"""
from dataclasses import dataclass

HEAD_DIM = 32
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


@dataclass(frozen=True)
class Sizes:
    hidden: int
    layers: int
    intermediate: int
    vision_hidden: int
    vocab: int
    tied: bool
    dtype: str
    eos: int


@dataclass(frozen=True)
class Family:
    """One architecture. `prefixes` are the published names under which text and vision tensors are stored."""
    architecture: str
    default_layers: int
    default_intermediate: float  # times hidden
    default_vision_hidden: int
    prefixes: tuple
    config: callable
    preprocessor: dict


def text_fields(s, heads, kv_heads):
    return dict(vocab_size=s.vocab, hidden_size=s.hidden, intermediate_size=s.intermediate, num_hidden_layers=s.layers,
                num_attention_heads=heads, num_key_value_heads=kv_heads, hidden_act="silu", max_position_embeddings=4096,
                rms_norm_eps=1e-6, rope_theta=1e6, bos_token_id=None, eos_token_id=s.eos)


def flat(model_type, s, vision):
    """Qwen2-VL and Qwen2.5-VL: rotary sections are consecutive, proportioned 2:3:3 as at head size 128."""
    n = HEAD_DIM // 2
    heads = s.hidden // HEAD_DIM
    return dict(text_fields(s, heads, max(1, heads // 4)), model_type=model_type, torch_dtype=s.dtype,
                tie_word_embeddings=s.tied, use_sliding_window=False, sliding_window=4096, max_window_layers=s.layers,
                rope_scaling={"type": "mrope", "mrope_section": [n - 2 * (3 * n // 8), 3 * n // 8, 3 * n // 8]},
                vision_config=vision)


def qwen2_vl(s):
    # No hidden_act: both sides default to quick GELU, but mistral.rs spells it "quickgelu", transformers "quick_gelu".
    return flat("qwen2_vl", s, dict(depth=2, embed_dim=s.vision_hidden, hidden_size=s.hidden, mlp_ratio=2, num_heads=2,
                                    in_chans=3, in_channels=3, patch_size=14, spatial_patch_size=14, spatial_merge_size=2,
                                    temporal_patch_size=2))


def qwen2_5_vl(s):
    # A window of 112 pixels is 4 x 4 merged cells: smaller than the fixture images, so that windows matter.
    return flat("qwen2_5_vl", s, dict(depth=2, hidden_size=s.vision_hidden, out_hidden_size=s.hidden, hidden_act="silu",
                                      intermediate_size=2 * s.vision_hidden, num_heads=2, in_chans=3, in_channels=3,
                                      patch_size=14, spatial_patch_size=14, spatial_merge_size=2, temporal_patch_size=2,
                                      window_size=112, fullatt_block_indexes=[1], tokens_per_second=2))


def qwen3_vl(s):
    """Query width (heads * head size) differs from the hidden size, as in the published 4B checkpoint. Deepstack skips a
    vision block, and the position grid (8 x 8) has to be interpolated: nothing may coincide by accident."""
    n = HEAD_DIM // 2
    heads = 2 * s.hidden // HEAD_DIM
    text = dict(text_fields(s, heads, max(1, heads // 2)), model_type="qwen3_vl_text", head_dim=HEAD_DIM, attention_bias=False,
                tie_word_embeddings=s.tied, dtype=s.dtype,
                rope_scaling={"rope_type": "default", "mrope_interleaved": True,
                              "mrope_section": [n - 2 * (5 * n // 16), 5 * n // 16, 5 * n // 16]})
    vision = dict(model_type="qwen3_vl", depth=4, hidden_size=s.vision_hidden, out_hidden_size=s.hidden,
                  hidden_act="gelu_pytorch_tanh", intermediate_size=2 * s.vision_hidden, num_heads=2, in_channels=3,
                  patch_size=16, spatial_merge_size=2, temporal_patch_size=2, num_position_embeddings=64,
                  deepstack_visual_indexes=[0, 2])
    return dict(model_type="qwen3_vl", torch_dtype=s.dtype, tie_word_embeddings=s.tied, text_config=text, vision_config=vision)


def preprocessor(processor, patch, mean, std, limits):
    """Limits are wide enough that no fixture image is resized."""
    return dict(limits, patch_size=patch, temporal_patch_size=2, merge_size=2, image_mean=mean, image_std=std,
                image_processor_type="Qwen2VLImageProcessor", processor_class=processor, do_convert_rgb=True, do_rescale=True,
                rescale_factor=1 / 255, do_resize=True, do_normalize=True, resample=3)


PIXELS = {"min_pixels": 28 * 28 * 4, "max_pixels": 28 * 28 * 1280}
EDGES = {"size": {"shortest_edge": 32 * 32 * 4, "longest_edge": 32 * 32 * 1280}}  # pixels too, whatever the names say

FAMILIES = {
    "qwen2_vl": Family("Qwen2VLForConditionalGeneration", 5, 3, 64, ("model.layers.", "visual."), qwen2_vl,
                       preprocessor("Qwen2VLProcessor", 14, CLIP_MEAN, CLIP_STD, PIXELS)),
    "qwen2_5_vl": Family("Qwen2_5_VLForConditionalGeneration", 6, 3, 64, ("model.layers.", "visual."), qwen2_5_vl,
                         preprocessor("Qwen2_5_VLProcessor", 14, CLIP_MEAN, CLIP_STD, PIXELS)),
    "qwen3_vl": Family("Qwen3VLForConditionalGeneration", 6, 2, 32, ("model.language_model.layers.", "model.visual."), qwen3_vl,
                       preprocessor("Qwen3VLProcessor", 16, [0.5] * 3, [0.5] * 3, EDGES)),
}
