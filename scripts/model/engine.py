"""Loading a base model with a fresh adapter on it, by transformers and PEFT or by Unsloth."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.devices import computes_bfloat16
from scripts.lib.options.train import TrainOptions
from scripts.model.vision import model_class


def pick_engine(options: TrainOptions, device: str) -> str:
    """``unsloth`` where it was asked for, or is installed and one process trains on a CUDA device; else ``hf``.

    Raises:
        UserError: Unsloth was asked for where it cannot run.
    """
    installed = importlib.util.find_spec("unsloth") is not None
    if options.engine == "unsloth" and not (installed and device == "cuda"):
        missing = "a CUDA device" if installed else "the package (pip install -r envs/gpu.txt)"
        raise UserError(f"engine: unsloth was asked for, but {missing} is missing; set engine: auto or hf.")
    able = installed and device == "cuda" and options.processes == 1
    return "unsloth" if options.engine != "hf" and able else "hf"


def pick_precision(options: TrainOptions, device: str) -> str:
    """``bfloat16`` or ``float32``; auto is bfloat16 where the device computes in it, which many CPUs only emulate.

    Measured on a Xeon without AVX512-BF16: matrix products of SmolLM2 at 70 GFLOP/s in float32, at 26 in bfloat16.
    """
    if options.precision != "auto":
        return options.precision
    return "bfloat16" if computes_bfloat16(device) else "float32"


def refuse_impossible(options: TrainOptions, device: str) -> None:
    """Stops before anything is loaded.

    Raises:
        UserError: 4- or 8-bit training on a CPU (bitsandbytes 0.50 runs it, but after the first evaluation pass every
            gradient of the adapter is 0, without a warning); sharding in one process, on CPUs, or without its package.
    """
    if options.sharding != "none" and options.processes == 1:
        raise UserError(
            f"train.sharding: {options.sharding} divides a model between processes, and there is one; set "
            "train.processes to the number of GPUs, or sharding: none."
        )
    if options.sharding != "none" and device != "cuda":
        raise UserError(f"train.sharding: {options.sharding} needs CUDA devices, not {device}; set sharding: none.")
    if options.sharding.startswith("zero") and importlib.util.find_spec("deepspeed") is None:
        raise UserError(
            f"train.sharding: {options.sharding} needs DeepSpeed; pip install deepspeed, or set sharding: fsdp."
        )
    if options.load_in != "16bit" and device != "cuda":
        raise UserError(
            f"load_in: {options.load_in} does not learn on {device}: bitsandbytes leaves every adapter gradient at 0 "
            "after the first evaluation; set load_in: 16bit, or train on a CUDA device."
        )
    if options.load_in != "16bit" and importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(f"load_in: {options.load_in} needs bitsandbytes; pip install -r envs/gpu.txt.")


def load_tokenizer(base: Path) -> Any:
    """The base's tokenizer; its pad token is set to its end token where it has none."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_for_training(base: Path, options: TrainOptions, device: str, precision: str) -> Any:
    """The base with a fresh adapter, on its device, ready for `transformers.Trainer`."""
    adapter = {
        "r": options.lora.r,
        "lora_alpha": options.lora.alpha,
        "lora_dropout": options.lora.dropout,
        "target_modules": options.lora.target_modules,
        "use_rslora": options.lora.rslora,
        "use_dora": options.lora.dora,
        "modules_to_save": options.lora.modules_to_save or None,
    }
    load = load_with_unsloth if pick_engine(options, device) == "unsloth" else load_with_peft
    return load(base, options, adapter, device, precision)


def load_with_peft(base: Path, options: TrainOptions, adapter: dict[str, Any], device: str, precision: str) -> Any:
    """The base by transformers, in 4 bits as QLoRA has it (arXiv:2305.14314), and the adapter by PEFT."""
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import BitsAndBytesConfig

    from scripts.model.fused import fuse

    dtype, quantization = getattr(torch, precision), None
    if options.load_in == "8bit":
        quantization = BitsAndBytesConfig(load_in_8bit=True)
    elif options.load_in == "4bit":
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    device_map = {"": device} if quantization else None
    model = model_class(base).from_pretrained(
        base, dtype=dtype, quantization_config=quantization, device_map=device_map
    )
    model.config.use_cache = False
    if quantization:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=options.gradient_checkpointing)
    elif options.gradient_checkpointing:
        # The embedding is frozen: without this no gradient would reach a checkpointed block.
        model.enable_input_require_grads()
    # GPT-2 keeps its weights transposed, in Conv1D.
    transposed = model.config.model_type == "gpt2"
    config = LoraConfig(
        task_type="CAUSAL_LM", rank_pattern=options.lora.rank_pattern, fan_in_fan_out=transposed, **adapter
    )
    adapted = get_peft_model(model, config)
    if device == "cpu" and precision == "float32":
        fuse(adapted)
    return adapted


def load_with_unsloth(base: Path, options: TrainOptions, adapter: dict[str, Any], device: str, precision: str) -> Any:
    """The base and the adapter by Unsloth, which chooses the CUDA device itself."""
    import torch
    from unsloth import FastLanguageModel

    model, _ = FastLanguageModel.from_pretrained(
        str(base),
        max_seq_length=options.max_tokens,
        dtype=getattr(torch, precision),
        load_in_4bit=options.load_in == "4bit",
        load_in_8bit=options.load_in == "8bit",
    )
    checkpointing = "unsloth" if options.gradient_checkpointing else False
    return FastLanguageModel.get_peft_model(
        model, use_gradient_checkpointing=checkpointing, random_state=options.seed, **adapter
    )
