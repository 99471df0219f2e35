"""The image input of a vision-language model, the same for training, prediction and certificates.

A prompt has one placeholder for each image. Transformers expects it repeated, once for each feature of the vision
tower; llama.cpp expects a marker in its place and the image beside the prompt. Both get identical pixels: an image's
sides are rounded to multiples of the model's step here, so that neither resizes it in its own way.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from scripts.lib.chat import PLACEHOLDER
from scripts.lib.cli import UserError
from scripts.lib.files import below, read_json
from scripts.lib.records import Record

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
# llama.cpp adds the tokens around an image itself.
FRAMED = f"<|vision_start|>{PLACEHOLDER}<|vision_end|>"
SMALLEST_SIDE = 2  # steps


def sees(folder: Path) -> bool:
    """Whether the model in a folder is a vision-language model; False for a folder without a model."""
    config = folder / "config.json"
    return config.is_file() and bool(read_json(config).get("vision_config"))


def model_class(folder: Path) -> Any:
    """The class of transformers that loads the model in a folder."""
    import transformers

    return transformers.AutoModelForImageTextToText if sees(folder) else transformers.AutoModelForCausalLM


def eyes_of(folder: Path) -> Eyes | None:
    """The image processor of the model in a folder; None for a text model."""
    return Eyes(folder) if sees(folder) else None


class Eyes:
    """Turns image files into a model's input.

    Args:
        folder: of the model.

    Raises:
        UserError: the model's family is not supported.
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
        """Pixels a side of one feature; an image's sides are multiples of it."""
        return self.patch * self.merge

    @cached_property
    def _processor(self) -> Any:
        from transformers import Qwen2VLImageProcessorPil

        return Qwen2VLImageProcessorPil.from_pretrained(self.folder, local_files_only=True, do_resize=False)

    def open(self, path: Path) -> Any:
        """An image as a PIL image, RGB, its sides rounded to multiples of `step`.

        Raises:
            UserError: the file is missing or cannot be decoded.
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
        """The number of placeholders of an image, from its size alone."""
        return math.prod(max(SMALLEST_SIDE, round(side / self.step)) for side in size_of(path))

    def pixels(self, paths: Sequence[Path]) -> dict[str, Any]:
        """``pixel_values`` [patches, width of a patch] and ``image_grid_thw`` [images, 3] of images in order."""
        return dict(self._processor([self.open(path) for path in paths], return_tensors="pt"))

    def input_of(self, ids: Any, paths: Sequence[Path]) -> dict[str, Any]:
        """A model's inputs beside its ids [batch, length]: `pixels`, and ``mm_token_type_ids``, 1 at placeholders.

        Raises:
            UserError: the number of placeholders is not that of the images' features.
        """
        pixels = self.pixels(paths)
        features = int(pixels["image_grid_thw"].prod(dim=1).sum()) // self.merge**2
        types = (ids == self.token).int()
        if int(types.sum()) != features:
            raise UserError(f"{int(types.sum())} placeholders for {features} features of {len(paths)} pictures.")
        return {**pixels, "mm_token_type_ids": types}

    def encoded(self, path: Path) -> str:
        """The image for llama.cpp's server: a PNG of the same pixels, in base64."""
        stream = io.BytesIO()
        self.open(path).save(stream, "PNG", compress_level=1)
        return base64.b64encode(stream.getvalue()).decode()


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of an image in pixels, without decoding it."""
    from PIL import Image

    with Image.open(path) as file:
        return file.size


def pictures_of(record: Record, folder: Path) -> list[Path]:
    """The files of a record's images; ``folder`` is that of its JSONL file.

    Raises:
        UserError: a path leaves the folder, or a file is missing.
    """
    paths = [below(folder, name) for name in record.images]
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: not there, though record {record.id} names it; curate the data again.")
    return paths


def for_llama(prompt: str, paths: Sequence[Path], eyes: Eyes, marker: str) -> dict[str, Any]:
    """An unexpanded prompt and its images in the form of llama.cpp's server."""
    return beside(prompt, [eyes.encoded(path) for path in paths], marker)


def beside(prompt: str, encoded: Sequence[str], marker: str) -> dict[str, Any]:
    """The same for images that are encoded already.

    Raises:
        UserError: the prompt has another number of placeholders.
    """
    if prompt.count(FRAMED) != len(encoded):
        raise UserError(f"the chat template shows {prompt.count(FRAMED)} pictures where there are {len(encoded)}.")
    return {"prompt_string": prompt.replace(FRAMED, marker), "multimodal_data": list(encoded)}
