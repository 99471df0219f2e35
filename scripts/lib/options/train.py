"""How a run is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from scripts.lib.options.strict import Options


class LoraOptions(Options):
    """The adapter (LoRA: Hu et al. 2021, arXiv:2106.09685)."""

    r: int = Field(default=16, ge=1)
    alpha: float = Field(default=16, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: list[str] | Literal["all-linear"] = "all-linear"
    rslora: bool = False
    """scale by alpha/sqrt(r) instead of alpha/r (arXiv:2312.03732)"""
    dora: bool = False
    """weight-decomposed update (arXiv:2402.09353)"""
    modules_to_save: list[str] = []
    rank_pattern: dict[str, int] = {}


class SharedTrainOptions(Options):
    """What the trainers of language models and of world models have in common."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    processes: int = Field(default=1, ge=1)
    """that train side by side, in all, one a GPU; with real models the profile's `gpu` of the rule comes before it. A
    step takes the same records however many share it, so that the result is the same but for the order in which
    numbers are added (and for what dropout draws, where batches are split, too)"""
    machines: int = Field(default=1, ge=1)
    """that the processes are spread over evenly; the profile's `nodes` of the rule comes before it"""
    report_to: list[Literal["tensorboard", "wandb"]] = ["tensorboard"]
    seed: int = Field(default=7, ge=0, lt=1 << 32)

    @model_validator(mode="after")
    def _processes_spread_evenly(self) -> SharedTrainOptions:
        if self.processes % self.machines:
            raise ValueError(f"{self.processes} processes do not spread evenly over {self.machines} machines")
        return self


class TrainOptions(SharedTrainOptions):
    """What makes a training run what it is."""

    engine: Literal["auto", "hf", "unsloth"] = "auto"
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """of the computation; auto is bfloat16 where the device has it"""
    load_in: Literal["16bit", "8bit", "4bit"] = "16bit"
    lora: LoraOptions = LoraOptions()
    epochs: float = Field(default=3.0, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    """stops earlier than the epochs would"""
    batch_size: int = Field(default=4, ge=1)
    gradient_accumulation: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=2e-4, gt=0)
    warmup_steps: float = Field(default=5, ge=0)
    """steps until the full learning rate; below 1: a share of all steps"""
    schedule: Literal["linear", "cosine", "constant"] = "cosine"
    weight_decay: float = Field(default=0.01, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=1024, ge=16)
    """the longest record trained on; longer ones are set aside and counted, never cut"""
    bucket: bool = True
    """batches of like lengths: less padding"""
    share_beginnings: bool = True
    """a batch whose records begin alike (system prompt, tools) reads that beginning once where that saves; same loss"""
    answer_dropout: float = Field(default=0.0, ge=0, lt=1)
    """share of an answer's tokens that those after it do not get to see as training begins, so that a small model looks
    at what it was asked and shown, not only at what it has just written (word dropout: Bowman et al. 2016,
    arXiv:1511.06349); it falls to none at three quarters of the steps, for spelling wants to see what is written"""
    gradient_checkpointing: bool = False
    eval_steps: int = Field(default=25, ge=1)
    """evaluate, and save a checkpoint, every so many steps"""
    eval_records: int | None = Field(default=None, ge=1)
    """records of the val split to evaluate on, drawn evenly; none given: all"""
    early_stopping_patience: int | None = Field(default=None, ge=1)
    """stop after so many evaluations without a better loss"""
    sharding: Literal["none", "fsdp", "zero2", "zero3"] = "none"
    """what processes divide between them, on GPUs: nothing (each holds the whole model); zero2: gradients and the
    optimizer's state; fsdp, zero3: the weights too (ZeRO by DeepSpeed: Rajbhandari et al. 2019, arXiv:1910.02054)"""
    keep_checkpoints: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _settings_fit_together(self) -> TrainOptions:
        if self.lora.dora and self.load_in != "16bit":
            raise ValueError("lora.dora needs load_in: 16bit")
        if self.device == "cpu" and self.load_in == "4bit":
            raise ValueError("load_in: 4bit does not learn on cpu; set load_in: 16bit, or device: cuda")
        if self.records_a_step % self.processes:
            raise ValueError(
                f"{self.processes} processes cannot share the {self.records_a_step} records of a step evenly; change "
                "batch_size or gradient_accumulation, or the number of processes"
            )
        if self.processes > 1 and self.engine == "unsloth":
            raise ValueError("engine: unsloth trains in one process; set engine: hf, or processes: 1")
        if self.sharding in ("fsdp", "zero3") and self.load_in != "16bit":
            raise ValueError(f"sharding: {self.sharding} takes load_in: 16bit; with {self.load_in} set none or zero2")
        return self

    @property
    def records_a_step(self) -> int:
        """The effective batch: records between two updates of the weights, whatever the number of processes."""
        return self.batch_size * self.gradient_accumulation


# Not part of a run's identity: what says where it runs and how it is watched. The number of processes changes rounding
# alone, as the number of threads does. Sharding is part of the identity: its checkpoints have another format.
SHARED_NOT_IDENTITY = frozenset({"device", "report_to", "processes", "machines"})
NOT_IDENTITY = SHARED_NOT_IDENTITY | {"keep_checkpoints"}
