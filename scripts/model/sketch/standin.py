"""The stand-in itself: a Qwen3-VL of a few million parameters with a small vocabulary, and how it is trained."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tqdm import tqdm

from scripts.model.gguf_base import pre_tokenizer
from scripts.model.sketch.pictures import SIDE, Sketch, draw

VOCABULARY = 1024
CORPUS = 400  # answers that the vocabulary is made from
WINDOW = 2048  # tokens
BATCH, LEARNING_RATE, WARMUP = 8, 1.5e-3, 60
SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
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
    "patch_size": 16,
    "rescale_factor": 1 / 255,
    "size": {"longest_edge": 16_777_216, "shortest_edge": 4096},
    "temporal_patch_size": 2,
}


def make(steps: int) -> tuple[Any, Any, dict[str, Any]]:
    """The model (float32), its tokenizer, and the settings of its image processor; the same bytes every time.

    Args:
        steps: of training, batches of 8 pictures; 0 leaves the weights random.
    """
    import torch

    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    model = make_model(tokenizer)
    if steps:
        train(model, tokenizer, steps)
    return model.eval(), tokenizer, PICTURES


def make_tokenizer() -> Any:
    """A byte-level BPE over answers to drawn pictures; every digit is a token of its own."""
    from pathlib import Path

    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    dice = np.random.default_rng(1)
    sketches = [draw(dice) for _ in range(CORPUS)]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizer("smollm", Path("smollm"))
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([f"{one.question}\n{one.answer}" for one in sketches], trainer)
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
        "patch_size": 16,
        "out_hidden_size": 256,
        "num_position_embeddings": (SIDE // 16) ** 2,
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
    place(model.model.visual.pos_embed.weight)
    return model


def place(positions: Any) -> None:
    """Sets the embeddings [places, width] of a square of patches to sines and cosines of their row and column.

    Random ones are drowned by what the patches show, and it takes long to learn where a patch lies. The form is that
    of Vaswani et al. 2017, arXiv:1706.03762, once for rows and once for columns.
    """
    import torch

    side, quarter = math.isqrt(len(positions)), positions.shape[1] // 4
    angles = torch.arange(side)[:, None] / 100 ** (torch.arange(quarter) / quarter)
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, columns = waves[:, None].expand(side, side, -1), waves.expand(side, side, -1)
    with torch.no_grad():
        positions.copy_(0.5 * torch.cat([rows, columns], dim=-1).flatten(0, 1))


def train(model: Any, tokenizer: Any, steps: int) -> None:
    """Trains all parameters on pictures drawn as they are needed; cosine schedule, loss on answers only."""
    import torch

    dice = np.random.default_rng(2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
    model.train()
    with tqdm(total=steps, desc="stand-in", unit="step") as bar:
        for _ in range(steps):
            loss = loss_of(model, batch_of([draw(dice) for _ in range(BATCH)], tokenizer, model.config))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
            bar.update()


def rate(step: int, steps: int) -> float:
    """The share of the full learning rate: a short rise, then half a cosine down to a twentieth."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.05 + 0.95 * (1 + math.cos(math.pi * min(1.0, (step - WARMUP) / max(1, steps - WARMUP)))) / 2


def loss_of(model: Any, batch: dict[str, Any]) -> Any:
    """Mean cross entropy over the tokens of the answers."""
    import torch

    labels = batch.pop("labels")[:, 1:]
    hidden = model.model(**batch, use_cache=False)[0][:, :-1][labels != -100]
    return torch.nn.functional.cross_entropy(model.lm_head(hidden), labels[labels != -100])


def batch_of(sketches: list[Sketch], tokenizer: Any, config: Any) -> dict[str, Any]:
    """Sketches as one batch, padded right: ids, mask, labels, pixels."""
    import torch

    features = (SIDE // 32) ** 2
    rows, starts = [], []
    for sketch in sketches:
        asked = (
            f"<|im_start|>user\n<|vision_start|>{'<|image_pad|>' * features}<|vision_end|>{sketch.question}<|im_end|>\n"
        )
        head = tokenizer(f"{asked}<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
        rows.append(head + tokenizer(f"{sketch.answer}<|im_end|>", add_special_tokens=False)["input_ids"])
        starts.append(len(head))
    size = (len(rows), max(map(len, rows)))
    ids = torch.full(size, tokenizer.pad_token_id)
    labels, mask = torch.full(size, -100), torch.zeros(size, dtype=torch.long)
    for at, (row, start) in enumerate(zip(rows, starts, strict=True)):
        ids[at, : len(row)] = torch.tensor(row)
        labels[at, start : len(row)] = torch.tensor(row[start:])
        mask[at, : len(row)] = 1
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": labels,
        "mm_token_type_ids": (ids == config.image_token_id).int(),
        "pixel_values": torch.from_numpy(np.concatenate([patches_of(one.picture) for one in sketches])),
        "image_grid_thw": torch.tensor([[1, SIDE // 16, SIDE // 16]] * len(sketches)),
    }


def patches_of(picture: np.ndarray) -> np.ndarray:
    """A picture as the image processor of this model cuts it: float32 [256, 3 · 2 · 16 · 16], from -1 to 1.

    Written out because the processor takes longer for a batch than the model; a test compares the two.
    """
    side = SIDE // 32
    values = (picture.astype(np.float32) / 127.5 - 1).reshape(side, 2, 16, side, 2, 16, 3)
    cut = values.transpose(0, 3, 1, 4, 6, 2, 5)[..., None, :, :]
    return np.broadcast_to(cut, (side, side, 2, 2, 3, 2, 16, 16)).reshape(4 * side * side, -1)
