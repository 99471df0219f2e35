"""The device to compute on, its precision and memory, and versions of packages."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.lib.cli import UserError
from scripts.lib.process import peak_resident_bytes


def pick_device(wanted: str) -> str:
    """``cuda``, ``mps`` or ``cpu``; auto takes the first that is available.

    Raises:
        UserError: the device is not available.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, present in there.items() if present)
    if not there[wanted]:
        raise UserError(f"device: {wanted} was asked for, but torch sees none; set device: auto, or run `make doctor`.")
    return wanted


def computes_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    return device == "cpu" and torch.cpu._is_avx512_bf16_supported()


def peak_memory(device: str) -> dict[str, int]:
    """Peak resident memory of this process and, on CUDA, of the device, in bytes."""
    import torch

    peak = {"process": peak_resident_bytes()}
    if device == "cuda":
        peak["device"] = torch.cuda.max_memory_allocated()
    return peak


def versions(names: Sequence[str]) -> dict[str, str]:
    """Versions of installed packages."""
    from importlib.metadata import version

    return {name: version(name) for name in names}


def free_memory(device: str) -> int:
    """Bytes that a new process may use: the device's free memory, or half of the machine's."""
    import psutil
    import torch

    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available // 2
