"""The base of every options model: frozen, unknown keys refused with the nearest known key."""

from __future__ import annotations

import difflib
import os
import types
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from scripts.lib.cli import UserError
from scripts.lib.options.renamed import renamed_hint

DESCRIBE = "QUESTLINE_DESCRIBE"  # environment variable; set where the schema is written


class Options(BaseModel):
    """A frozen set of options. Unknown keys are errors."""

    # The docstrings of keys are read from the source, a fifth of a second of every plan; only the schema shows them.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,  # a limit of NaN or Inf would compare as false, or allow anything
        use_attribute_docstrings=DESCRIBE in os.environ,
    )

    @classmethod
    def parse(
        cls, values: dict[str, Any], source: str = "--params", locate: Callable[[Sequence[str]], str] = lambda path: ""
    ) -> Self:
        """Validates plain values; ``locate`` returns where the key of a path is written, or an empty string.

        Raises:
            UserError: names the source, the key, what is wrong and, for an unknown key, the nearest known one.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            clauses = []
            for row in error.errors():
                path = key_path(row["loc"], values)
                clauses.append(f"{locate(path) or source}: {describe(cls, path, row)}")
            raise UserError("; ".join(clauses)) from error


def key_path(location: Sequence[str | int], values: Any) -> list[str]:
    """The part of an error's location that is written in the values; pydantic adds the branches of a union to it.

    >>> key_path(("score", "threshold", "float"), {"score": {"threshold": "high"}})
    ['score', 'threshold']
    """
    path = []
    for part in location:
        if not isinstance(values, dict | list | tuple) or (isinstance(part, str) and not isinstance(values, dict)):
            break
        path.append(str(part))
        values = values.get(part) if isinstance(values, dict) else values[part] if part < len(values) else None
    return path


def describe(model: type[BaseModel], path: Sequence[str], row: Any) -> str:
    """One error of pydantic as a clause for a person; ``path`` is its key's."""
    key = ".".join(path)
    if row["type"] == "value_error":
        reason = row["msg"].removeprefix("Value error, ")
        return f"{key}: {reason}" if key else reason
    if row["type"] != "extra_forbidden":
        given = "" if row["type"] == "missing" else f" (given: {row['input']!r})"
        return f"{key}: {row['msg'][0].lower()}{row['msg'][1:]}{given}"
    if hint := renamed_hint(path):
        return f"{key}: {hint}"
    for part in path[:-1]:
        if part in model.model_fields:
            model = next(iter(nested_models(model.model_fields[part].annotation)), model)
    known = sorted(model.model_fields)
    nearest = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys: {', '.join(known)}."
    return f"unknown key {key!r}; {hint}"


def nested_models(annotation: Any) -> list[type[BaseModel]]:
    """The models inside an annotation: ``M``, ``M | None``, ``dict[str, M]``, ``list[M]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType, dict, list, tuple):
        return [model for argument in get_args(annotation) for model in nested_models(argument)]
    return []


OptionsT = TypeVar("OptionsT", bound=Options)


def overrides_of(model: type[Options]) -> type[Options]:
    """The same model with every field optional and unset: what a run may override."""
    fields: dict[str, Any] = {name: (field.annotation | None, None) for name, field in model.model_fields.items()}
    name = model.__name__.replace("Options", "Overrides")
    return create_model(name, __base__=Options, __doc__=model.__doc__, **fields)


def resolve_section(top: OptionsT, *overrides: Options | None, **defaults: Any) -> OptionsT:
    """A section of the configuration as one run has it.

    Keys of the last of ``overrides`` win over those of the ones before it, these over the keys that ``top`` sets, and
    these over defaults: first those that an overriding model has of its own, then ``defaults``, then those of ``top``.
    """
    given = [override for override in overrides if override is not None]
    values = deep_merge(type(top)().model_dump(), defaults)
    for override in given:
        fields = type(override).model_fields.items()
        values = deep_merge(values, {name: field.default for name, field in fields if field.default is not None})
    for layer in (top, *given):
        values = deep_merge(values, layer.model_dump(exclude_unset=True))
    return type(top).parse(values, "config")


def deep_merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``over`` on top; mappings are merged key by key, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = deep_merge(result[key], value) if both else value
    return result
