"""Puts examples together: how many of each kind, which templates, and the fields of each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.files import canonical_json
from scripts.tools.generator import render
from scripts.tools.generator.intents import SPECIALISTS, Template
from scripts.tools.generator.phrases import (
    asks,
    declines,
    farore,
    follow_ups,
    nayru,
    plans_farore,
    plans_nayru,
    plans_veran,
    veran,
)
from scripts.tools.generator.render import Values
from scripts.tools.generator.wording import CRITERIA, WORDING

SHARES = {"single": 0.43, "plan": 0.29, "decline": 0.10, "ask": 0.08, "follow_up": 0.10}
MODULES = (veran, farore, nayru, plans_veran, plans_farore, plans_nayru, follow_ups, declines, asks)
TEMPLATES = [template for module in MODULES for template in module.TEMPLATES]
LONGEST_DUMP = 64
TRIES = 20

Example = dict[str, Any]
Fits = Callable[[str, dict[str, Any]], list[str]]


def quotas(count: int) -> dict[tuple[str, str], int]:
    """How many examples each kind and specialist gets: they add up to ``count``, by the largest remainders."""
    exact = {(kind, who): count * share / len(SPECIALISTS) for kind, share in SHARES.items() for who in SPECIALISTS}
    result = {key: int(value) for key, value in exact.items()}
    rest = sorted(exact, key=lambda key: (result[key] - exact[key], key))
    for key in rest[: count - sum(result.values())]:
        result[key] += 1
    return result


def examples(count: int, seed: int, fits: Fits) -> list[Example]:
    """``count`` distinct examples, the same ones for the same seed; ``fits`` lists what is wrong with a call.

    Raises:
        UserError: so many distinct ones cannot be made, or a call does not fit the schema.
    """
    rng = random.Random(seed)
    seen: set[str] = set()
    rows: list[Example] = []
    for (kind, who), quota in quotas(count).items():
        pool = [template for template in TEMPLATES if template.kind == kind and template.specialist in (who, "")]
        made = list(_distinct(pool, who, quota, seen, rng))
        if len(made) < quota:
            raise UserError(f"--count {count}: only {len(made)} distinct {kind} examples of {who}; ask for fewer.")
        rows += made
    _check(rows, fits)
    numbers = dict.fromkeys(SPECIALISTS, 0)
    for row in rows:
        numbers[row["specialist"]] += 1
        row["id"] = f"{row['specialist']}-{row['kind']}-{numbers[row['specialist']]:04d}"
    return rows


def _distinct(pool: list[Template], who: str, quota: int, seen: set[str], rng: random.Random) -> Iterator[Example]:
    """Goes round the templates, so that all are used alike; one that yields nothing new is dropped."""
    pool = rng.sample(pool, len(pool))
    made = 0
    while pool and made < quota:
        template = pool.pop(0)
        row = _new(template, who, seen, rng)
        if row is not None:
            pool.append(template)
            made += 1
            yield row


def _new(template: Template, who: str, seen: set[str], rng: random.Random) -> Example | None:
    for _ in range(TRIES):
        row = example(template, who, rng)
        key = canonical_json([row["instruction"].casefold(), [call["parameters"] for call in row["tool_calls"]]])
        if key not in seen:
            seen.add(key)
            return row
    return None


def example(template: Template, who: str, rng: random.Random) -> Example:
    """One raw example of a template, for a specialist; its id is given later."""
    found = render.draw_values(template, rng)
    text = render.dressed(render.request(template, found, rng), template, who, rng)
    calls = [render.call(step, template, found) for step in template.steps]
    kind = "calls" if template.kind in ("single", "plan") else template.kind
    row = {
        "id": "",
        "source": "generated",
        "context": {},
        "instruction": text,
        "tool_calls": [_explained(call) for call in calls],
        "success_criteria": CRITERIA[kind],
        "difficulty": difficulty(template, calls, found),
        "kind": kind,
        "specialist": who,
        "template": template.id,
    }
    return row | _spoken(template, calls, found, who, rng)


def _explained(call: dict[str, Any]) -> dict[str, Any]:
    rationale, expected = WORDING[call["tool"]]
    return {**call, "rationale": rationale, "expected_output": expected}


def _spoken(
    template: Template, calls: list[dict[str, Any]], found: Values, who: str, rng: random.Random
) -> dict[str, Any]:
    """The keys ``turns`` and ``answer``, where the template has results and answers."""
    dump = rng.randbytes(LONGEST_DUMP)
    style = rng.randrange(2)
    turns = []
    for call, step in zip(calls, template.steps, strict=True):
        if step.results:
            content = render.told(step.results[style], found, who, dump, rng)
            turns.append({"tool_calls": [call], "results": [{"tool": step.tool, "content": content}]})
    spoken: dict[str, Any] = {"turns": turns} if turns else {}
    if template.answers:
        spoken["answer"] = render.told(rng.choice(template.answers), found, who, dump, rng)
    return spoken


def difficulty(template: Template, calls: list[dict[str, Any]], found: Values) -> str:
    """Simple: a call (or none) with hardly anything to convert. Complex: three calls, or one that hangs on another."""
    if len(calls) > 2 or template.kind == "follow_up":
        return "complex"
    converted = sum(found[slot].converted for slot in set(template.slots) if slot in found)
    return "medium" if len(calls) == 2 or converted > 1 else "simple"


def _check(rows: list[Example], fits: Fits) -> None:
    for row in rows:
        for call in row["tool_calls"]:
            if wrong := fits(call["tool"], call["parameters"]):
                raise UserError(f"--schema does not fit the generator: {wrong[0]} Use data/raw/tools/schema.json.")
