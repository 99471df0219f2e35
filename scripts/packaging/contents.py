"""What goes into a package, read from the stages before and checked before a byte is written."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scripts.contract import System
from scripts.lib.cli import UserError, load_params
from scripts.lib.files import read_json
from scripts.lib.options.deploy import DeployOptions
from scripts.lib.tokenizer import Tokenizer
from scripts.model.gguf_facts import GgufFacts, read_facts
from scripts.model.vision import sees
from scripts.packaging import ollama
from scripts.packaging.evidence import SCOPE_WORDS
from scripts.systems import SYSTEMS

TEMPLATES = Path(__file__).parent / "templates"
GGUF_NAME = re.compile(r"model-(.+)\.gguf")


@dataclass(frozen=True)
class Package:
    """What goes into a package of any model family, read but not yet written.

    Attributes:
        name: "<system>/<run>".
        scope: what its scores prove.
        gate, metrics, certificate, training, stats: the JSON files of those names.
    """

    name: str
    preset: str
    scope: str
    options: DeployOptions
    out: Path
    gate: dict[str, Any]
    metrics: dict[str, Any]
    certificate: dict[str, Any]
    training: dict[str, Any]
    stats: dict[str, Any]

    @property
    def system(self) -> System:
        """The declaration of its system: its metrics and baselines in words."""
        return SYSTEMS[self.name.partition("/")[0]]

    @property
    def default_file(self) -> str:
        """Name of the file that the gate chose."""
        raise NotImplementedError

    @property
    def model_files(self) -> list[Path]:
        """Weights to ship, all formats."""
        raise NotImplementedError

    def card(self, folder: Path) -> tuple[Path, dict[str, Any]]:
        """The template of its model card, which extends ``card.md.j2``, and the values that it adds."""
        raise NotImplementedError


@dataclass(frozen=True)
class LanguagePackage(Package):
    """The package of a language model.

    Attributes:
        ggufs: quant name to file; empty where only transformers files are shipped.
        merged: folder of merged weights, or None.
        mmproj: the projector of a vision-language model, or None.
        base_folder: folder of the base model, whose tokenizer renders the prompts.
        records: test records, for the transcript.
        system_prompt: as it stands in front of every conversation.
        base: base.json.
        run_notes: Markdown that the system adds to the card's section on running the model.
    """

    ggufs: dict[str, Path]
    merged: Path | None
    mmproj: Path | None
    base_folder: Path
    records: Path
    system_prompt: str
    base: dict[str, Any]
    run_notes: str = ""

    @property
    def default_file(self) -> str:
        """Name of the GGUF that the gate chose, or "." for a transformers folder."""
        return self.ggufs[self.gate["variant"]].name if self.ggufs else "."

    @cached_property
    def facts(self) -> GgufFacts | None:
        """The header of the default GGUF."""
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

    def card(self, folder: Path) -> tuple[Path, dict[str, Any]]:
        """The template of language models."""
        return TEMPLATES / "language.md.j2", {
            "base": {"revision": None, "licence": None, "source": None, "files": [], **self.base},
            "verify": self.system.verify,
            "chat_form": self.chat_form,
            "takes_images": self.system.family.takes_images,
            "run_notes": self.run_notes,
        }

    @property
    def model_files(self) -> list[Path]:
        """Quantised files with their projector, and merged weights."""
        projector = [self.mmproj] if self.mmproj and self.ggufs else []
        return [*self.ggufs.values(), *projector, *(sorted(self.merged.glob("*.safetensors")) if self.merged else [])]


def add_package_arguments(stage: argparse.ArgumentParser) -> None:
    """The arguments of every deploy stage."""
    stage.add_argument("--gate", type=Path, required=True, help="gate.json: which file is shipped as default")
    stage.add_argument("--metrics", type=Path, required=True)
    stage.add_argument("--certificate", type=Path, required=True)
    stage.add_argument("--training", type=Path, required=True, help="training_metadata.json")
    stage.add_argument("--stats", type=Path, help="stats.json of the curated data, for the card")
    stage.add_argument("--preset", default="", help="name of the configuration, for the card")
    stage.add_argument("--scope", choices=tuple(SCOPE_WORDS), help="what its scores prove; else as metrics.json says")
    stage.add_argument("--out", type=Path, required=True, help="the package's folder; replaced as a whole")


def add_language_arguments(stage: argparse.ArgumentParser) -> None:
    """The arguments of every deploy stage of a language model."""
    add_package_arguments(stage)
    stage.add_argument("--gguf", type=Path, nargs="*", default=[], help="model-<type>.gguf files, or their folder")
    stage.add_argument("--merged", type=Path, help="folder of merged weights; needed for the format hf")
    stage.add_argument("--mmproj", type=Path, help="mmproj.gguf, the projector of a vision-language model")
    stage.add_argument("--base-json", type=Path, required=True, help="base.json, in the folder of the base model")
    stage.add_argument("--records", type=Path, required=True, help="test records, for the smoke transcript")
    stage.add_argument("--system-prompt", default="", help="the run's system prompt")


def common_fields(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of any package, from its arguments.

    Raises:
        UserError: a file is missing, a quality limit stops this run, or the certificate did not pass.
    """
    files = {name: read_json(getattr(args, name)) for name in ("gate", "metrics", "certificate", "training")}
    gate, metrics = files["gate"], files["metrics"]
    if not gate["passed"] and gate.get("on_miss") == "stop":
        raise UserError(
            f"{args.gate}: a quality limit is missed ({gate['why']}); train better, or set gate.on_miss: mark."
        )
    if not files["certificate"].get("passed"):
        raise UserError(
            f"{args.certificate}: the certificate did not pass; something was lost on the way, nothing ships."
        )
    return files | {
        "name": f"{metrics['system']}/{metrics['run']}",
        "preset": args.preset,
        "scope": args.scope or metrics.get("scope") or "real",
        "options": DeployOptions.parse(load_params(args.params)),
        "out": args.out,
        "stats": read_json(args.stats) if args.stats else {},
    }


def refuse_files(files: list[Path], options: DeployOptions, advice: str) -> None:
    """Stops at a file that is missing or larger than ``size_limit_gb``.

    Raises:
        UserError: names it, and how to make it smaller.
    """
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: no such file; build it first, or check the path.")
        if (size := path.stat().st_size) > int(options.size_limit_gb * 1e9):
            raise UserError(
                f"{path}: {size / 1e9:.4g} GB is over deploy.size_limit_gb = {options.size_limit_gb:g}; {advice}, or "
                "raise the limit."
            )


def gather(args: argparse.Namespace, system_prompt: str) -> LanguagePackage:
    """Reads what the package of a language model is made of and refuses what cannot be shipped.

    Raises:
        UserError: an input is missing, the gate stops this run or names a quant that is not there, a file is too big.
    """
    fields = common_fields(args)
    formats = fields["options"].formats
    package = LanguagePackage(
        **fields,
        ggufs=quant_files(args.gguf) if "gguf" in formats else {},
        merged=args.merged if "hf" in formats else None,
        mmproj=args.mmproj,
        base_folder=args.base_json.parent,
        records=args.records,
        system_prompt=system_prompt,
        base=read_json(args.base_json),
    )
    shipped = package.gate["variant"]
    if "gguf" in formats and shipped not in package.ggufs:
        built = ", ".join(sorted(package.ggufs)) or "none"
        raise UserError(f"{args.gate}: ships {shipped!r}, but --gguf has {built}; build it, or run the gate again.")
    if "hf" in formats and not (package.merged and sorted(package.merged.glob("*.safetensors"))):
        raise UserError(f"{args.merged}: no merged safetensors for format hf; keep them with keep_intermediates: true.")
    if package.ggufs and package.mmproj is None and sees(package.base_folder):
        raise UserError(
            f"{args.base_json}: this base is a vision-language model; pass --mmproj, or the package has no image "
            "encoder."
        )
    advice = "name smaller types in export.quants (Q4_K_M is about a quarter of 16 bits), more merge_shards"
    refuse_files(package.model_files, package.options, advice)
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
