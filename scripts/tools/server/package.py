"""A specialist's package on disk.

It holds a GGUF, ``deployment_config.json`` (its key ``default`` names the GGUF) and ``specialist_config.json``. A
shared package holds several specialists: ``default`` is their base, and ``specialists`` names for each an adapter GGUF
and a configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scripts.lib.cli import UserError
from scripts.lib.files import inside, read_json
from scripts.model.logits import must_be_gguf
from scripts.tools.schema import Tool, load_schema

DEPLOYMENT, SPECIALIST = "deployment_config.json", "specialist_config.json"
ROUTE = "route"
LONGEST_CONTEXT = 8192  # tokens; a longest instruction and an answer fit, and the cache stays small
SHORTEST_CONTEXT = 512


class SpecialistConfig(BaseModel):
    """specialist_config.json; keys of other readers (``adapter``) are passed over."""

    model_config = ConfigDict(frozen=True)
    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")
    description: str
    system_prompt: str
    tools: list[dict[str, Any]] = Field(min_length=1)
    focus: list[str] = []
    phrases: list[str] = []
    max_new_tokens: int = Field(default=256, ge=1, le=4096)
    chat_template: str = Field(min_length=1)
    bos_token: str | None = None
    eos_token: str | None = None


@dataclass(frozen=True)
class Package:
    """A package that was read.

    Attributes:
        source: the file that ``config`` was read from.
        context: tokens of prompt and answer.
        adapters: the adapter GGUFs of the whole package; empty where the model is merged.
        adapter: which of them is this specialist's.
        tools: the definitions of ``config.tools`` by name, for the grammar and for validation.
    """

    folder: Path
    gguf: Path
    context: int
    config: SpecialistConfig
    tools: dict[str, Tool]
    source: Path
    adapters: tuple[Path, ...] = ()
    adapter: int | None = None

    @property
    def name(self) -> str:
        """The specialist's name."""
        return self.config.name

    @property
    def phrases(self) -> list[str]:
        """What the router learns from: training instructions, and what the package says of itself and its tools."""
        focus = [self.tools[name] for name in self.config.focus if name in self.tools]
        return [*self.config.phrases, self.config.description, *(tool.description for tool in focus)]


def read_packages(folders: Sequence[Path]) -> list[Package]:
    """All packages, in order.

    Raises:
        UserError: one is no package, or two specialists have one name.
    """
    packages: dict[str, Package] = {}
    for package in [one for folder in folders for one in read_folder(folder)]:
        folder = package.folder
        if package.name in packages:
            first = packages[package.name].folder
            raise UserError(f"{first} and {folder} both hold a specialist named {package.name!r}; leave one out.")
        packages[package.name] = package
    return list(packages.values())


def read_folder(folder: Path) -> list[Package]:
    """The specialists of one package; models are looked at, not loaded.

    Raises:
        UserError: a file is missing or damaged, or says what cannot be.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name a package such as dist/tools/<run>, or build it first.")
    gguf, context = _model(folder)
    shared = read_json(folder / DEPLOYMENT).get("specialists")
    if shared is None:
        return [_package(folder, folder / SPECIALIST, gguf, context)]
    try:
        adapters = tuple(inside(folder, row["adapter"]) for row in shared.values())
        sources = [inside(folder, row["config"]) for row in shared.values()]
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{folder / DEPLOYMENT}: `specialists` is damaged; build the package again.") from error
    for path in adapters:
        must_be_gguf(path)
    return [
        replace(_package(folder, source, gguf, context), adapters=adapters, adapter=index)
        for index, source in enumerate(sources)
    ]


def _package(folder: Path, path: Path, gguf: Path, context: int) -> Package:
    try:
        config = SpecialistConfig.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"{path}: {where}: {first['msg']}; build the package again.") from error
    if config.name == ROUTE:
        raise UserError(f"{path}: a specialist cannot be named {ROUTE!r}, which is the router's name; rename it.")
    return Package(folder, gguf, context, config, load_schema(path), path)


def _model(folder: Path) -> tuple[Path, int]:
    """The GGUF that deployment_config.json names, and how many tokens to make room for."""
    path = folder / DEPLOYMENT
    facts = read_json(path)
    name = facts.get("default") if isinstance(facts, dict) else None
    if not isinstance(name, str) or not name.endswith(".gguf"):
        raise UserError(f"{path}: `default` names no GGUF file but {name!r}; build the package with a GGUF format.")
    gguf = inside(folder, name)
    must_be_gguf(gguf)
    length = facts.get("context_length")
    context = length if isinstance(length, int) and length > 0 else LONGEST_CONTEXT
    return gguf, max(SHORTEST_CONTEXT, min(context, LONGEST_CONTEXT))
