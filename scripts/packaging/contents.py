"""What goes into a package, read from the stages before and checked before a byte is written."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError, load_params
from scripts.lib.files import read_json
from scripts.lib.options.deploy import DeployOptions
from scripts.lib.tokenizer import Tokenizer
from scripts.model.vision import sees
from scripts.packaging import ollama
from scripts.packaging.evidence import SCOPE_WORDS
from scripts.packaging.gguf_facts import GgufFacts, read_facts

GGUF_NAME = re.compile(r"model-(.+)\.gguf")


@dataclass(frozen=True)
class Package:
    """Everything that goes into a package, read but not yet written.

    Attributes:
        name: "<system>/<run>".
        ggufs: quant name to file; empty where only transformers files are shipped.
        merged: folder of merged weights, or None.
        mmproj: the projector of a model that sees, or None.
        base_folder: folder of the base model, whose tokenizer renders the prompts.
        system_prompt: as it stands in front of every conversation.
        gate, metrics, certificate, base, training, stats: the JSON files of those names.
    """

    name: str
    preset: str
    scope: str
    options: DeployOptions
    out: Path
    ggufs: dict[str, Path]
    merged: Path | None
    mmproj: Path | None
    base_folder: Path
    records: Path
    system_prompt: str
    gate: dict[str, Any]
    metrics: dict[str, Any]
    certificate: dict[str, Any]
    base: dict[str, Any]
    training: dict[str, Any]
    stats: dict[str, Any]

    @property
    def default_file(self) -> str:
        """Name of the GGUF that the gate chose, or "." for a transformers folder."""
        return self.ggufs[self.gate["variant"]].name if self.ggufs else "."

    @cached_property
    def facts(self) -> GgufFacts | None:
        """What the default GGUF says of itself."""
        return read_facts(self.ggufs[self.gate["variant"]]) if self.ggufs else None

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The base's tokenizer, with the project's template if it has none of its own."""
        return Tokenizer(self.base_folder)

    @cached_property
    def context_length(self) -> int:
        """The window in tokens: the GGUF's own, else what base.json recorded."""
        return self.facts.context_length if self.facts else int(self.base["context_length"])

    @cached_property
    def chat_form(self) -> ollama.Form | None:
        """The chat template in a form that Ollama takes, if it is a known one."""
        if self.facts and self.facts.chat_template:
            return ollama.recognise(self.facts.chat_template, self.facts.bos, self.facts.eos)
        return ollama.recognise(self.tokenizer.chat_template, self.tokenizer.bos_token or "", self.eos)

    @property
    def eos(self) -> str:
        """Text of the token that ends an answer."""
        return (self.facts.eos if self.facts else "") or self.tokenizer.eos_token or ""

    @property
    def model_files(self) -> list[Path]:
        """Weights to ship, all formats."""
        projector = [self.mmproj] if self.mmproj and self.ggufs else []
        return [*self.ggufs.values(), *projector, *(sorted(self.merged.glob("*.safetensors")) if self.merged else [])]


def add_arguments(stage: argparse.ArgumentParser) -> None:
    """The arguments that every system's deploy stage takes."""
    stage.add_argument("--gate", type=Path, required=True, help="gate.json: which quant is shipped as default")
    stage.add_argument("--gguf", type=Path, nargs="*", default=[], help="model-<type>.gguf files, or their folder")
    stage.add_argument("--merged", type=Path, help="folder of merged weights; needed for the format hf")
    stage.add_argument("--mmproj", type=Path, help="mmproj.gguf, the projector of a model that sees")
    stage.add_argument("--metrics", type=Path, required=True)
    stage.add_argument("--certificate", type=Path, required=True)
    stage.add_argument("--base-json", type=Path, required=True, help="base.json, in the folder of the base model")
    stage.add_argument("--training", type=Path, required=True, help="training_metadata.json")
    stage.add_argument("--stats", type=Path, help="stats.json of the curated data, for the card")
    stage.add_argument("--records", type=Path, required=True, help="test records, for the smoke transcript")
    stage.add_argument("--system-prompt", default="", help="the run's system prompt")
    stage.add_argument("--preset", default="", help="name of the configuration, for the card")
    stage.add_argument("--scope", choices=tuple(SCOPE_WORDS), help="what its scores prove; else as metrics.json says")
    stage.add_argument("--out", type=Path, required=True, help="the package's folder; replaced as a whole")


def gather(args: argparse.Namespace, system_prompt: str) -> Package:
    """Reads what a package is made of and refuses what cannot be shipped.

    Raises:
        UserError: an input is missing, the gate stops this run or names a quant that is not there, a file is too big.
    """
    options = DeployOptions.parse(load_params(args.params))
    metrics = read_json(args.metrics)
    package = Package(
        name=f"{metrics['system']}/{metrics['run']}",
        preset=args.preset,
        scope=args.scope or metrics.get("scope") or "real",
        options=options,
        out=args.out,
        ggufs=quant_files(args.gguf) if "gguf" in options.formats else {},
        merged=args.merged if "hf" in options.formats else None,
        mmproj=args.mmproj,
        base_folder=args.base_json.parent,
        records=args.records,
        system_prompt=system_prompt,
        gate=read_json(args.gate),
        metrics=metrics,
        certificate=read_json(args.certificate),
        base=read_json(args.base_json),
        training=read_json(args.training),
        stats=read_json(args.stats) if args.stats else {},
    )
    refuse(package, args)
    return package


def quant_files(paths: list[Path]) -> dict[str, Path]:
    """Quant name to file. A folder gives all of its quants; the f16 file in it is an intermediate and stays out."""
    found: dict[str, Path] = {}
    for path in paths:
        files = sorted(path.glob("model-*.gguf")) if path.is_dir() else [path]
        for file in files:
            match = GGUF_NAME.fullmatch(file.name)
            if match is None:
                raise UserError(f"{file}: expected a name such as model-Q4_K_M.gguf; rename it, or pass another file.")
            if not (path.is_dir() and match[1].lower() == "f16"):
                found[match[1]] = file
    return found


def refuse(package: Package, args: argparse.Namespace) -> None:
    """Raises a `UserError` for a package that must not be written."""
    gate, options = package.gate, package.options
    if not gate["passed"] and gate.get("on_miss") == "stop":
        raise UserError(
            f"{args.gate}: a quality limit is missed ({gate['why']}); train better, or set gate.on_miss: mark."
        )
    if package.certificate.get("passed") is False:
        raise UserError(
            f"{args.certificate}: the certificate did not pass; something was lost on the way, nothing ships."
        )
    if "gguf" in options.formats and gate["variant"] not in package.ggufs:
        built = ", ".join(sorted(package.ggufs)) or "none"
        raise UserError(
            f"{args.gate}: ships {gate['variant']!r}, but --gguf has {built}; build it, or run the gate again."
        )
    if "hf" in options.formats and not (package.merged and sorted(package.merged.glob("*.safetensors"))):
        raise UserError(f"{args.merged}: no merged safetensors for format hf; keep them with keep_intermediates: true.")
    if package.ggufs and package.mmproj is None and sees(package.base_folder):
        raise UserError(f"{args.base_json}: this base sees; without --mmproj its GGUF files would be blind.")
    limit = int(options.size_limit_gb * 1e9)
    for path in package.model_files:
        if not path.is_file():
            raise UserError(f"{path}: no such file; build it first, or check the path.")
        if (found := path.stat().st_size) > limit:
            raise UserError(
                f"{path}: {found / 1e9:.4g} GB is over deploy.size_limit_gb = {options.size_limit_gb:g}; name smaller "
                "types in export.quants (Q4_K_M is about a quarter of 16 bits), more merge_shards, or raise the limit."
            )
