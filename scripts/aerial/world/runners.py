"""A model that predicts, by PyTorch or by onnxruntime, behind one signature."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scripts.lib.cli import UserError

# From a window's history, batched, to class probabilities [n, future, x, y, z, classes] and motions [n, future, 6].
Runner = Callable[[dict[str, np.ndarray]], tuple[np.ndarray, np.ndarray]]
INPUTS = ("grids", "motion", "tilt")


def history_of(sample: dict[str, Any], history: int) -> dict[str, np.ndarray]:
    """A runner's input from a batch of samples: nothing after the last history frame."""
    return {
        "grids": np.asarray(sample["grids"])[:, :history].astype(np.int32),
        "motion": np.asarray(sample["motion"])[:, :history].astype(np.float32),
        "tilt": np.asarray(sample["tilt"]).astype(np.float32),
    }


def torch_runner(model: Any, device: str = "cpu") -> Runner:
    """Runs a `TransVQVAE`."""
    import torch

    model = model.to(device).eval()

    def run(batch: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            logits, steps = model.rollout(**{name: torch.from_numpy(batch[name]).to(device) for name in INPUTS})
        return logits.float().softmax(-1).cpu().numpy(), steps.float().cpu().numpy()

    return run


def onnx_runner(path: Path) -> Runner:
    """Runs an .onnx file on the CPU.

    Raises:
        UserError: it is missing, or onnxruntime does not load it.
    """
    import onnxruntime

    from scripts.lib.process import job_threads

    if not path.is_file():
        raise UserError(f"{path}: no such file; export the model first.")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = job_threads()
    try:
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many kinds
        raise UserError(
            f"{path}: onnxruntime cannot load it ({str(error).splitlines()[0]}); export it again."
        ) from error

    names = [value.name for value in session.get_inputs()]  # an unused input is not in the graph

    def run(batch: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        # The graph takes one window, so that its shapes are fixed, as mobile runtimes want them.
        windows = range(len(batch["grids"]))
        outputs = [session.run(None, {name: batch[name][at : at + 1] for name in names}) for at in windows]
        return np.concatenate([output[0] for output in outputs]), np.concatenate([output[1] for output in outputs])

    return run


def decided(probabilities: np.ndarray, threshold: float, free: int) -> np.ndarray:
    """Class numbers uint8 [...]: free below the threshold of being occupied, else the likeliest other class."""
    others = probabilities.copy()
    others[..., free] = -1
    return np.where(1 - probabilities[..., free] >= threshold, others.argmax(-1), free).astype(np.uint8)
