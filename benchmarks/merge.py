"""Merging: ours against PEFT's load + merge_and_unload + save_pretrained, each in a process of its own.

    python -m benchmarks.merge [--work FOLDER]

Makes a random Llama of at least 1.5 billion parameters in bfloat16 with an adapter of rank 16 on all its
linears, merges it both ways in turns, compares a sample of tensors bit for bit, and prints one line of JSON.
Seconds are the least of the repeats and those of the merge without imports, which would only flatter ours; memory
is the largest VmHWM, imports included.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.sides import peak_bytes, run_side

RANK = 16
CHUNK = 1 << 22  # numbers that are drawn at a time
LINEARS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
LINEARS += ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


def shapes(hidden: int, layers: int, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a Llama's tensors (embeddings not tied), its wide side 2.75 times its hidden one."""
    wide = hidden * 11 // 4
    sides = {"mlp.gate_proj": (wide, hidden), "mlp.up_proj": (wide, hidden), "mlp.down_proj": (hidden, wide)}
    named: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        named |= {f"{prefix}{linear}.weight": sides.get(linear, (hidden, hidden)) for linear in LINEARS}
        named |= {f"{prefix}{norm}_layernorm.weight": (hidden,) for norm in ("input", "post_attention")}
    return named | {"model.norm.weight": (hidden,), "lm_head.weight": (vocabulary, hidden)}


def make_model(folder: Path, hidden: int, layers: int, vocabulary: int) -> int:
    """Writes the model and returns its number of parameters."""
    import numpy as np

    from scripts.lib.files import write_json

    folder.mkdir(parents=True)
    named = shapes(hidden, layers, vocabulary)
    generator = np.random.default_rng(0)

    def bits(count: int) -> Any:
        # Random sign and fraction, exponents that give 2^-7 to 2^-3: sizes that trained weights have.
        drawn = generator.integers(0, 1 << 16, count, dtype=np.uint16)
        return (drawn & 0x81FF) | 0x3C00

    write_weights(folder / "model.safetensors", named, "BF16", bits)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden, "dtype": "bfloat16"}
    config |= {"intermediate_size": hidden * 11 // 4, "num_hidden_layers": layers, "num_attention_heads": hidden // 64}
    config |= {"num_key_value_heads": hidden // 64, "vocab_size": vocabulary, "tie_word_embeddings": False}
    config |= {"max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "hidden_act": "silu"}
    write_json(folder / "config.json", config)
    return sum(int(np.prod(shape)) for shape in named.values())


def make_adapter(folder: Path, hidden: int, layers: int, vocabulary: int) -> None:
    """Writes an adapter in PEFT's format whose matrices are all random."""
    import numpy as np

    from scripts.lib.files import write_json

    folder.mkdir(parents=True)
    pairs: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes(hidden, layers, vocabulary).items():
        module = name.removesuffix(".weight")
        if module.endswith(LINEARS):
            pairs[f"base_model.model.{module}.lora_A.weight"] = (RANK, shape[1])
            pairs[f"base_model.model.{module}.lora_B.weight"] = (shape[0], RANK)
    generator = np.random.default_rng(1)
    draw = generator.standard_normal
    write_weights(folder / "adapter_model.safetensors", pairs, "F32", lambda n: draw(n, np.float32) * np.float32(0.02))
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": 32,
        "lora_dropout": 0.0,
        "bias": "none",
    }
    targets = sorted(linear.split(".")[1] for linear in LINEARS)
    write_json(folder / "adapter_config.json", {**config, "target_modules": targets, "fan_in_fan_out": False})


def write_weights(path: Path, named: dict[str, tuple[int, ...]], dtype: str, draw: Any) -> None:
    """Writes tensors of random content, a few million numbers at a time."""
    import math

    from scripts.model.tensors import ITEM_BYTES, header_bytes

    rows = [(name, dtype, shape, math.prod(shape) * ITEM_BYTES[dtype]) for name, shape in named.items()]
    with path.open("wb") as stream:
        stream.write(header_bytes(rows))
        for _, _, shape, _ in rows:
            numbers = math.prod(shape)
            for first in range(0, numbers, CHUNK):
                stream.write(draw(min(CHUNK, numbers - first)).tobytes())
        stream.flush()
        os.fsync(stream.fileno())


def merge_here(side: str, work: Path) -> None:
    """Merges one way in this process and prints seconds and VmHWM as JSON."""
    base, adapter, out = work / "base", work / "adapter", work / side
    if side == "ours":
        from scripts.model.merge import merge

        started = time.perf_counter()
        merge(base, adapter, out)
    else:
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        started = time.perf_counter()
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
        PeftModel.from_pretrained(model, adapter).merge_and_unload().save_pretrained(out)
    seconds = round(time.perf_counter() - started, 2)
    print(json.dumps({"seconds": seconds, "cpu_seconds": round(time.process_time(), 2), "peak_bytes": peak_bytes()}))


def one_side(side: str, work: Path) -> dict[str, Any]:
    """Runs one side as a command."""
    shutil.rmtree(work / side, ignore_errors=True)
    os.sync()  # unwritten data of the previous side must not slow this one
    started = time.perf_counter()
    result = run_side("merge", side, {"work": work})
    return {**result, "process_seconds": round(time.perf_counter() - started, 2)}


def best(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The least time and the largest memory: other programs only ever add to the former."""
    times = {key: min(run[key] for run in runs) for key in ("seconds", "cpu_seconds", "process_seconds")}
    return {**times, "peak_bytes": max(run["peak_bytes"] for run in runs), "runs": [run["seconds"] for run in runs]}


def compare(one: Path, other: Path, every: int = 7) -> dict[str, int]:
    """Numbers that differ in every seventh tensor of two models."""
    import numpy as np

    from scripts.model.tensors import read_model, read_raw

    ours, theirs = read_model(one), read_model(other)
    if ours.keys() != theirs.keys():
        raise SystemExit("merge: the two sides do not hold the same tensors")
    names = sorted(ours)[::every]
    differ = 0
    for name in names:
        pair = [np.frombuffer(read_raw(side[name]), np.uint16) for side in (ours, theirs)]
        differ += int(np.count_nonzero(pair[0] != pair[1]))
    return {"tensors": len(names), "differ": differ}


def parser() -> argparse.ArgumentParser:
    """The benchmark's arguments."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    options.add_argument("--work", type=Path, help="a folder for about 10 GB, removed after; default: a temporary one")
    options.add_argument("--hidden", type=int, default=2048, help="a multiple of 64")
    options.add_argument("--layers", type=int, default=28)
    options.add_argument("--vocabulary", type=int, default=32000)
    options.add_argument("--repeats", type=int, default=2, help="runs a side")
    options.add_argument("--side", choices=["ours", "peft"], help=argparse.SUPPRESS)
    return options


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Makes the model, runs both sides and gives the ratios."""
    if args.work:
        args.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="merge-", dir=args.work) as folder:
        work = Path(folder)
        parameters = make_model(work / "base", args.hidden, args.layers, args.vocabulary)
        make_adapter(work / "adapter", args.hidden, args.layers, args.vocabulary)
        runs = [{side: one_side(side, work) for side in ("peft", "ours")} for _ in range(args.repeats)]
        sides = {side: best([run[side] for run in runs]) for side in ("peft", "ours")}
        sample = compare(work / "ours", work / "peft")
    ours, peft = sides["ours"], sides["peft"]
    return {
        "benchmark": "merge",
        "ratios": {
            "peak memory, ours / PEFT": round(ours["peak_bytes"] / peft["peak_bytes"], 3),
            "speed, ours / PEFT": round(peft["seconds"] / ours["seconds"], 2),
            "speed, whole commands": round(peft["process_seconds"] / ours["process_seconds"], 2),
            "numbers that differ": sample["differ"],
        },
        "at_most": {"peak memory, ours / PEFT": 0.25, "numbers that differ": 0},
        "at_least": {"speed, ours / PEFT": 2.0},
        "sides": {**sides, "parameters": parameters, "sample": sample},
    }


if __name__ == "__main__":
    arguments = parser().parse_args()
    if arguments.side:
        merge_here(arguments.side, arguments.work)
    else:
        print(json.dumps(measure(arguments)))
