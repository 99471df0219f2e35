"""The base of every options model: frozen, unknown keys refused with the nearest known key."""

from __future__ import annotations

import difflib
import os
import types
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from scripts.lib.cli import UserError

DESCRIBE = "QUESTLINE_DESCRIBE"  # environment variable; set where the schema is written


class Options(BaseModel):
    """A frozen set of options. Unknown keys are errors."""

    # The docstrings of keys are read from the source, a fifth of a second of every plan; only the schema shows them.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,  # no option means anything there
        use_attribute_docstrings=DESCRIBE in os.environ,
    )

    @classmethod
    def parse(
        cls, values: dict[str, Any], source: str = "--params", locate: Callable[[Sequence[str]], str] = lambda path: ""
    ) -> Self:
        """Validates plain values; ``locate`` says where the key of a path stands, if it can.

        Raises:
            UserError: names the source, the key, what is wrong and, for an unknown key, the nearest known one.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            rows = [
                (locate([str(part) for part in row["loc"]]) or source, describe(cls, row)) for row in error.errors()
            ]
            raise UserError("; ".join(f"{where}: {what}" for where, what in rows)) from error


def describe(model: type[BaseModel], row: Any) -> str:
    """One validation error as a clause for a person."""
    path = [str(part) for part in row["loc"]]
    key = ".".join(path)
    if row["type"] == "value_error":
        said = row["msg"].removeprefix("Value error, ")
        return f"{key}: {said}" if key else said
    if row["type"] != "extra_forbidden":
        given = "" if row["type"] == "missing" else f" (given: {row['input']!r})"
        return f"{key}: {row['msg'][0].lower()}{row['msg'][1:]}{given}"
    known = sorted(known_keys(model, path[:-1]))
    nearest = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys: {', '.join(known)}."
    return f"unknown key {key!r}; {hint}"


def known_keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """The keys that the model at ``path`` inside ``model`` knows."""
    for part in path:
        field = model.model_fields.get(part)
        if field is not None:
            candidates = nested_models(field.annotation)
            model = candidates[0] if candidates else model
    return list(model.model_fields)


def nested_models(annotation: Any) -> list[type[BaseModel]]:
    """The models inside an annotation: ``M``, ``M | None``, ``dict[str, M]``, ``list[M]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType, dict, list, tuple):
        return [found for argument in get_args(annotation) for found in nested_models(argument)]
    return []


OptionsT = TypeVar("OptionsT", bound=Options)


def overrides_of(model: type[Options]) -> type[Options]:
    """The same model with every field optional and unset: what a run may override."""
    fields: dict[str, Any] = {
        name: (field.annotation | None if field.annotation is not None else None, None)
        for name, field in model.model_fields.items()
    }
    return create_model(
        model.__name__.replace("Options", "Overrides"), __base__=Options, __doc__=model.__doc__, **fields
    )


def merged(base: OptionsT, override: Options | None) -> OptionsT:
    """``base`` with the fields that ``override`` sets, or has a default of its own for."""
    if override is None:
        return base
    own = {name: field.default for name, field in type(override).model_fields.items() if field.default is not None}
    given = {**own, **override.model_dump(exclude_unset=True)}
    return type(base).parse(deep_merge(base.model_dump(), given), "config")


def deep_merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``over`` on top; mappings are merged key by key, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = deep_merge(result[key], value) if both else value
    return result
