"""Reads a specialist's package from disk.

A package holds a GGUF, ``deployment_config.json`` (its key ``default`` names the GGUF) and ``specialist_config.json``.
A shared package holds several specialists: ``default`` is their base, and ``specialists`` names an adapter GGUF and a
configuration for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scripts.lib.cli import UserError
from scripts.lib.files import inside, read_json
from scripts.model.logits import must_be_gguf
from scripts.tools.schema import Tool, load_schema

DEPLOYMENT, SPECIALIST = "deployment_config.json", "specialist_config.json"
ROUTE = "route"
LONGEST_CONTEXT = 8192  # tokens; the longest instruction and its answer fit, and the KV cache stays small
SHORTEST_CONTEXT = 512


class SpecialistConfig(BaseModel):
    """specialist_config.json; other keys, such as ``adapter``, are ignored."""

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
    """One specialist of a package.

    Attributes:
        context: size of the context in tokens, for prompt and answer.
        tools: the definitions of ``config.tools`` by name, for the grammar and for validation.
        source: the file of ``config``.
        adapters: the adapter GGUFs of the whole package; empty if the model is merged.
        adapter: the index of this specialist's adapter.
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
        """The router's training data: training instructions, and the descriptions of the specialist and its tools."""
        focus = [self.tools[name] for name in self.config.focus if name in self.tools]
        return [*self.config.phrases, self.config.description, *(tool.description for tool in focus)]


def read_packages(folders: Sequence[Path]) -> list[Package]:
    """Reads all packages, in order.

    Raises:
        UserError: a folder is not a package, or two specialists have the same name.
    """
    packages: dict[str, Package] = {}
    for folder in folders:
        for package in read_folder(folder):
            if package.name in packages:
                first = packages[package.name].folder
                raise UserError(f"{first} and {folder} both hold a specialist named {package.name!r}; leave one out.")
            packages[package.name] = package
    return list(packages.values())


def read_folder(folder: Path) -> list[Package]:
    """The specialists of one package; of each GGUF file only the first bytes are checked.

    Raises:
        UserError: a file is missing, damaged or invalid.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name a package such as dist/tools/<run>, or build it first.")
    path = folder / DEPLOYMENT
    facts = read_json(path)
    name = facts.get("default") if isinstance(facts, dict) else None
    if not isinstance(name, str) or not name.endswith(".gguf"):
        raise UserError(f"{path}: `default` names no GGUF file but {name!r}; build the package with a GGUF format.")
    gguf = inside(folder, name)
    must_be_gguf(gguf)
    length = facts.get("context_length")
    length = length if isinstance(length, int) and length > 0 else LONGEST_CONTEXT
    context = max(SHORTEST_CONTEXT, min(length, LONGEST_CONTEXT))
    shared = facts.get("specialists")
    if shared is None:
        config, tools = _read_config(folder / SPECIALIST)
        return [Package(folder, gguf, context, config, tools, folder / SPECIALIST)]
    try:
        adapters = tuple(inside(folder, row["adapter"]) for row in shared.values())
        sources = [inside(folder, row["config"]) for row in shared.values()]
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: `specialists` is damaged; build the package again.") from error
    for adapter in adapters:
        must_be_gguf(adapter)
    return [
        Package(folder, gguf, context, *_read_config(source), source, adapters, index)
        for index, source in enumerate(sources)
    ]


def _read_config(path: Path) -> tuple[SpecialistConfig, dict[str, Tool]]:
    try:
        config = SpecialistConfig.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"{path}: {where}: {first['msg']}; build the package again.") from error
    if config.name == ROUTE:
        raise UserError(f"{path}: a specialist cannot be named {ROUTE!r}, which is the router's name; rename it.")
    return config, load_schema(path)
