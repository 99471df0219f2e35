"""Pictures as a vision-language model takes them, for training, prediction and certificates alike.

A prompt holds one placeholder a picture. Transformers wants it repeated, once for each feature of the vision tower;
llama.cpp wants a marker in its place and the picture beside the prompt. Both are given the very same pixels: a picture
is brought to sides that are multiples of the model's step once, here, so that neither resizes it in its own way.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from scripts.lib.chat import PLACEHOLDER
from scripts.lib.cli import UserError
from scripts.lib.files import below, read_json
from scripts.lib.records import Record

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
# llama.cpp puts the tokens around a picture itself.
FRAMED = f"<|vision_start|>{PLACEHOLDER}<|vision_end|>"
SMALLEST_SIDE = 2  # steps


def sees(folder: Path) -> bool:
    """Whether the model in a folder takes pictures; of a folder without a model: no."""
    config = folder / "config.json"
    return config.is_file() and bool(read_json(config).get("vision_config"))


def model_class(folder: Path) -> Any:
    """The class of transformers that loads the model in a folder."""
    import transformers

    return transformers.AutoModelForImageTextToText if sees(folder) else transformers.AutoModelForCausalLM


def eyes_of(folder: Path) -> Eyes | None:
    """The eyes of the model in a folder, None where it has none."""
    return Eyes(folder) if sees(folder) else None


class Eyes:
    """What turns pictures into a model's input.

    Args:
        folder: the model's.

    Raises:
        UserError: it is of a family that is not known here.
    """

    def __init__(self, folder: Path) -> None:
        config = read_json(folder / "config.json")
        if config.get("model_type") not in FAMILIES:
            raise UserError(
                f"{folder}: {config.get('model_type')} is not one of {', '.join(FAMILIES)}; choose another base."
            )
        vision = config["vision_config"]
        self.folder, self.token = folder, int(config["image_token_id"])
        self.patch = int(vision["patch_size"])
        self.merge = int(vision.get("spatial_merge_size", 2))

    @property
    def step(self) -> int:
        """Pixels of which a picture's sides are multiples: those of one feature."""
        return self.patch * self.merge

    @cached_property
    def _processor(self) -> Any:
        from transformers import Qwen2VLImageProcessorPil

        return Qwen2VLImageProcessorPil.from_pretrained(self.folder, local_files_only=True, do_resize=False)

    def open(self, path: Path) -> Any:
        """A picture as a PIL image, RGB, its sides rounded to multiples of `step`.

        Raises:
            UserError: it is not there, or is no picture.
        """
        from PIL import Image

        try:
            with Image.open(path) as file:
                picture = file.convert("RGB")
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read as a picture ({error}); build the data again.") from error
        sides = tuple(max(SMALLEST_SIDE, round(side / self.step)) * self.step for side in picture.size)
        return picture if sides == picture.size else picture.resize(sides, Image.Resampling.BICUBIC)

    def features(self, path: Path) -> int:
        """Placeholders that a picture takes, from its size alone."""
        wide, high = (max(SMALLEST_SIDE, round(side / self.step)) for side in size_of(path))
        return wide * high

    def pixels(self, paths: Sequence[Path]) -> dict[str, Any]:
        """``pixel_values`` [patches, width of a patch] and ``image_grid_thw`` [pictures, 3] of pictures in order."""
        return dict(self._processor([self.open(path) for path in paths], return_tensors="pt"))

    def input_of(self, ids: Any, paths: Sequence[Path]) -> dict[str, Any]:
        """What a model takes beside its ids [batch, length]: `pixels`, and ``mm_token_type_ids``, 1 at placeholders.

        Raises:
            UserError: there are more or fewer placeholders than the pictures have features.
        """
        shown = self.pixels(paths)
        features = int(shown["image_grid_thw"].prod(dim=1).sum()) // self.merge**2
        types = (ids == self.token).int()
        if int(types.sum()) != features:
            raise UserError(f"{int(types.sum())} placeholders for {features} features of {len(paths)} pictures.")
        return {**shown, "mm_token_type_ids": types}

    def encoded(self, path: Path) -> str:
        """The picture as llama.cpp takes it beside a prompt: a PNG of the same pixels, in base64."""
        stream = io.BytesIO()
        self.open(path).save(stream, "PNG", compress_level=1)
        return base64.b64encode(stream.getvalue()).decode()


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture in pixels; it is not decoded for that."""
    from PIL import Image

    with Image.open(path) as file:
        return file.size


def pictures_of(record: Record, folder: Path) -> list[Path]:
    """The files of a record's pictures; ``folder`` is that of its JSONL file.

    Raises:
        UserError: one leaves the folder, or is not there.
    """
    paths = [below(folder, name) for name in record.images]
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: not there, though record {record.id} names it; curate the data again.")
    return paths


def for_llama(prompt: str, paths: Sequence[Path], eyes: Eyes, marker: str) -> dict[str, Any]:
    """An unexpanded prompt and its pictures as llama.cpp's server takes them."""
    return beside(prompt, [eyes.encoded(path) for path in paths], marker)


def beside(prompt: str, encoded: Sequence[str], marker: str) -> dict[str, Any]:
    """The same of pictures that are encoded already.

    Raises:
        UserError: the prompt shows more or fewer pictures.
    """
    if prompt.count(FRAMED) != len(encoded):
        raise UserError(f"the chat template shows {prompt.count(FRAMED)} pictures where there are {len(encoded)}.")
    return {"prompt_string": prompt.replace(FRAMED, marker), "multimodal_data": list(encoded)}
