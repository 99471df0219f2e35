"""A training step of the world model against the floor that this machine's own matrix product gives, in float32.

    python -m benchmarks.world [--preset learn] [--steps 3]

The floating-point operations of a step are counted by PyTorch (products and convolutions alone, both ways); the machine
does so many a second in a product of two square matrices. Their quotient is the least time that the step could take.
What lies above it are gathers, normalisations, copies and products too small to fill the machine. One process, the
threads that it is given; time of the processor, the first step not counted. The data are cells drawn by a seed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

CEILING = 8.0
SIDE = 1024  # of the square matrices
STAGES = ("vae", "transformer")


def parser() -> argparse.ArgumentParser:
    """The benchmark's arguments."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--preset", default="learn")
    options.add_argument("--steps", type=int, default=3)
    return options


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a step of both stages, their floors, and the quotients."""
    from benchmarks.sides import peak_bytes
    from scripts.config import load_files

    [run] = load_files(Path(f"config/{args.preset}.yaml")).world_runs()
    rate = product_rate()
    sides = {stage: one_stage(run, stage, args.steps) for stage in STAGES}
    ratios = {f"{name} step / floor": row["seconds"] / (row["operations"] / rate) for name, row in sides.items()}
    rows = {name: {**row, "floor_seconds": round(row["operations"] / rate, 3)} for name, row in sides.items()}
    return {
        "benchmark": "world",
        "sides": {**rows, "product_gflops": round(rate / 1e9, 1), "peak_bytes": peak_bytes()},
        "ratios": ratios,
        "at_most": dict.fromkeys(ratios, CEILING),
    }


def product_rate() -> float:
    """Floating-point operations a second of CPU time in a product of square matrices."""
    import torch

    left, right = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    left @ right
    started = time.process_time()
    for _ in range(8):
        left @ right
    return 8 * 2 * SIDE**3 / (time.process_time() - started)


def one_stage(run: Any, stage: str, steps: int) -> dict[str, Any]:
    """Seconds of the processor for a step, and its operations."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from scripts.aerial.world.memory import blank
    from scripts.aerial.world.model.transvqvae import TransVQVAE, freeze
    from scripts.aerial.world.objective import losses_of

    torch.manual_seed(0)
    network = TransVQVAE(run.data, run.model).train()
    learning = set(freeze(network, {"transformer", "pose"} if stage == "vae" else {"vae"}))
    parameters = [value for name, value in network.named_parameters() if name in learning]
    optimizer = torch.optim.AdamW(parameters)
    windows = run.train.batch_size
    batch = {name: value.repeat(windows, *[1] * (value.dim() - 1)) for name, value in blank(run.data).items()}
    batch["grids"] = torch.randint(0, len(run.data.classes.names), batch["grids"].shape).to(torch.uint8)
    if stage == "vae":
        batch = {"grids": batch["grids"][:, : run.train.vae_frames]}

    def step() -> None:
        losses, _ = losses_of(network, stage, batch, run.data, run.train)
        optimizer.zero_grad()
        torch.stack([loss.float() for loss in losses.values()]).sum().backward()
        optimizer.step()

    with FlopCounterMode(display=False) as counted:
        step()
    started = time.process_time()
    for _ in range(steps):
        step()
    seconds = (time.process_time() - started) / steps
    return {"seconds": round(seconds, 3), "operations": counted.get_total_flops(), "windows": windows}


if __name__ == "__main__":
    print(json.dumps(measure(parser().parse_args())))
