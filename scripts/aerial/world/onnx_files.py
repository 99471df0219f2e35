"""The model as ONNX: float32, and with the weights of its matrix products and convolutions in 8 bits."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from scripts.aerial.world.runners import INPUTS
from scripts.lib.files import atomic_path

OUTPUTS = ("probabilities", "steps")


def write_float(model: Any, example: dict[str, np.ndarray], path: Path, opset: int) -> None:
    """Writes the rollout of one window, float32.

    Inputs: ``grids`` int32 [1, history, x, y, z], ``motion`` float32 [1, history, 13], ``tilt`` float32 [1, 4].
    Outputs: ``probabilities`` float32 [1, future, x, y, z, classes], ``steps`` float32 [1, future, 6].
    """
    import torch

    class Rollout(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *history: Any) -> tuple[Any, Any]:
            logits, steps = self.model.rollout(*history)
            return logits.softmax(-1), steps

    arguments = tuple(torch.from_numpy(example[name][:1]) for name in INPUTS)
    with atomic_path(path) as part, warnings.catch_warnings():
        # Shapes are traced as constants on purpose, and the exporter that needs only onnx is deprecated.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Rollout().eval(),
            arguments,
            str(part),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            opset_version=opset,
            dynamo=False,
        )


def write_int8(source: Path, path: Path) -> None:
    """Writes the same graph with weights in 8 bits and activations quantised at run time (dynamic quantisation)."""
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # It recommends a preparation that matters only to static quantisation, through the root logger.
    logging.getLogger().setLevel(logging.ERROR)
    with atomic_path(path) as part:
        quantize_dynamic(
            source,
            part,
            op_types_to_quantize=["MatMul", "Gemm", "Conv"],
            weight_type=QuantType.QUInt8,
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )
