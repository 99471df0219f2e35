"""Base models that are made here instead of downloaded. A recipe is a module with ``make(steps)``.

Recipe modules are imported by name, so that a base depends on the code of its own recipe only: a change in one recipe
rebuilds no other base.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from scripts.lib.cli import UserError


class Recipe(NamedTuple):
    """The module of a recipe, and whether its model is trained for the number of steps in its reference."""

    module: str
    trained: bool


RECIPES = {
    "tiny-llama": Recipe("scripts.model.tiny_llama", trained=False),
    "sketch-rooms": Recipe("scripts.model.sketch.finder", trained=True),
    "sketch-vl": Recipe("scripts.model.sketch.standin", trained=True),
}


class Made(NamedTuple):
    """A model in float32, its tokenizer, and the settings of its image processor (None for a language model)."""

    model: Any
    tokenizer: Any
    pictures: dict[str, Any] | None


def recipe_of(reference: str) -> tuple[Recipe, int]:
    """The recipe of a reference such as ``tiny-llama`` or ``sketch-vl@300``, and its number of training steps.

    Raises:
        UserError: there is no such recipe, or the steps are not a number.
    """
    name, _, steps = reference.partition("@")
    if name not in RECIPES:
        known = ", ".join(f"{key}@<steps>" if recipe.trained else key for key, recipe in sorted(RECIPES.items()))
        raise UserError(f"recipe:{reference}: no such recipe; known: {known}.")
    recipe = RECIPES[name]
    if recipe.trained != steps.isdigit():
        how = f"say for how many steps it is trained, such as recipe:{name}@300" if recipe.trained else "leave @ out"
        raise UserError(f"recipe:{reference}: {how}.")
    return recipe, int(steps or 0)


def make(reference: str) -> Made:
    """Runs the recipe of a reference; the same reference gives the same bytes."""
    recipe, steps = recipe_of(reference)
    return Made(*importlib.import_module(recipe.module).make(steps))
