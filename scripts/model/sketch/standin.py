"""The toy VLM: a Qwen3-VL of a few million parameters with a small vocabulary, and the recipe `sketch-vl`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from scripts.model.gguf_base import pre_tokenizer
from scripts.model.sketch.lessons import COURSE
from scripts.model.sketch.pictures import HEIGHTS, Sketch, draw
from scripts.model.sketch.surface import CELL, COLUMNS
from scripts.model.sketch.tower import PATCH
from scripts.model.sketch.training import Course, teach

VOCABULARY = 1024
CORPUS = 400  # questions and answers for the vocabulary
WINDOW = 2048  # tokens
SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
)
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
PICTURES = {
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "image_processor_type": "Qwen2VLImageProcessorFast",
    "merge_size": 2,
    "patch_size": PATCH,
    "rescale_factor": 1 / 255,
    "size": {"longest_edge": 16_777_216, "shortest_edge": 4096},
    "temporal_patch_size": 2,
}


def make(steps: int) -> tuple[Any, Any, dict[str, Any]]:
    """The model (float32), its tokenizer, and the settings of its image processor; the same bytes every time.

    Args:
        steps: of training, batches of 8 images; 0 leaves the weights random.
    """
    rng = np.random.default_rng(1)
    return build([draw(rng, HEIGHTS[at % len(HEIGHTS)]) for at in range(CORPUS)], COURSE, steps)


def build(corpus: list[Sketch], course: Course, steps: int) -> tuple[Any, Any, dict[str, Any]]:
    """A model, trained on a course; its vocabulary comes from the questions and answers of a corpus."""
    import torch

    tokenizer = make_tokenizer(corpus)
    torch.manual_seed(0)
    model = make_model(tokenizer)
    teach(model, tokenizer, steps, course)
    return model.eval(), tokenizer, PICTURES


def make_tokenizer(sketches: list[Sketch]) -> Any:
    """A byte-level BPE over questions and answers; every digit is a token of its own."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizer("smollm", Path("smollm"))
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([f"{sketch.question}\n{sketch.answer}" for sketch in sketches], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=WINDOW,
        clean_up_tokenization_spaces=False,
        chat_template=TEMPLATE,
    )


def make_model(tokenizer: Any) -> Any:
    """A random Qwen3-VL: text of 4 layers 256 wide, vision of 4 layers 128 wide, patches of 16 pixels."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    text = {
        "vocab_size": 64 * math.ceil(len(tokenizer) / 64),
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "max_position_embeddings": WINDOW,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": [12, 10, 10],
            "mrope_interleaved": True,
        },
        "tie_word_embeddings": True,
        "bos_token_id": ids["<|im_start|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    vision = {
        "depth": 4,
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_heads": 4,
        "patch_size": PATCH,
        "out_hidden_size": 256,
        "num_position_embeddings": (CELL * COLUMNS // PATCH) ** 2,
        "deepstack_visual_indexes": [1, 2, 3],
    }
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=True,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    model = Qwen3VLForConditionalGeneration(config)
    set_positions(model.model.visual.pos_embed.weight)
    return model


def set_positions(positions: Any) -> None:
    """Sets position embeddings [patches, width] of a square of patches to sines and cosines of row and column.

    Random embeddings are small against those of the patches, and the model takes long to learn where a patch lies. The
    form is that of Vaswani et al. 2017, arXiv:1706.03762, once for rows and once for columns.
    """
    import torch

    side, quarter = math.isqrt(len(positions)), positions.shape[1] // 4
    angles = torch.arange(side)[:, None] / 100 ** (torch.arange(quarter) / quarter)
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, columns = waves[:, None].expand(side, side, -1), waves.expand(side, side, -1)
    with torch.no_grad():
        positions.copy_(0.5 * torch.cat([rows, columns], dim=-1).flatten(0, 1))
