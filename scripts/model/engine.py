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
        UserError: 4- or 8-bit training on a CPU. bitsandbytes 0.50 runs it, but after the first evaluation pass every
            gradient of the adapter is 0 and nothing says so.
    """
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
    if pick_engine(options, device) == "unsloth":
        return _load_unsloth(base, options, precision)
    return _load_hf(base, options, device, precision)


def _load_hf(base: Path, options: TrainOptions, device: str, precision: str) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    from scripts.model.fused import fuse

    model = model_class(base).from_pretrained(
        base,
        dtype=getattr(torch, precision),
        quantization_config=_quantization(options, precision),
        device_map={"": device} if options.load_in != "16bit" else None,
    )
    model.config.use_cache = False
    if options.load_in != "16bit":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=options.gradient_checkpointing)
    elif options.gradient_checkpointing:
        # The embedding is frozen: without this no gradient would reach a checkpointed block.
        model.enable_input_require_grads()
    lora = options.lora
    adapted = get_peft_model(
        model,
        LoraConfig(
            task_type="CAUSAL_LM",
            r=lora.r,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=lora.target_modules,
            use_rslora=lora.rslora,
            use_dora=lora.dora,
            modules_to_save=lora.modules_to_save or None,
            rank_pattern=lora.rank_pattern,
            # GPT-2 keeps its weights transposed, in Conv1D.
            fan_in_fan_out=model.config.model_type == "gpt2",
        ),
    )
    if device == "cpu" and precision == "float32":
        fuse(adapted)
    return adapted


def _quantization(options: TrainOptions, precision: str) -> Any:
    if options.load_in == "16bit":
        return None
    import torch
    from transformers import BitsAndBytesConfig

    if options.load_in == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, precision),
    )


def _load_unsloth(base: Path, options: TrainOptions, precision: str) -> Any:
    import torch
    from unsloth import FastLanguageModel

    lora = options.lora
    model, _ = FastLanguageModel.from_pretrained(
        str(base),
        max_seq_length=options.max_tokens,
        dtype=getattr(torch, precision),
        load_in_4bit=options.load_in == "4bit",
        load_in_8bit=options.load_in == "8bit",
    )
    return FastLanguageModel.get_peft_model(
        model,
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        modules_to_save=lora.modules_to_save or None,
        use_gradient_checkpointing="unsloth" if options.gradient_checkpointing else False,
        random_state=options.seed,
    )
