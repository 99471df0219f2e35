"""Assembles examples: the number of each kind, the choice of templates, and the fields of a record."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.files import canonical_json
from scripts.tools.generator import render
from scripts.tools.generator.intents import Template, templates
from scripts.tools.generator.render import Values
from scripts.tools.generator.tables import SPECIALISTS, wording

FRACTIONS = {"single": 0.43, "plan": 0.29, "decline": 0.10, "ask": 0.08, "follow_up": 0.10}
LONGEST_DUMP = 64  # bytes of a memory read in a tool's result
TRIES = 20  # draws from a template without a new example before the template is dropped

Example = dict[str, Any]


def examples(count: int, seed: int, fits: Callable[[str, dict[str, Any]], list[str]]) -> list[Example]:
    """Generates distinct examples; equal seeds give equal examples.

    Args:
        count: number of examples.
        seed: seed of the random number generator.
        fits: returns the errors of a call, from its tool and parameters.

    Raises:
        UserError: there are not enough distinct examples, a call does not fit the schema, or a table is invalid.
    """
    rng = random.Random(seed)
    seen: set[str] = set()
    rows: list[Example] = []
    for (kind, who), quota in quotas(count).items():
        pool = [template for template in templates() if template.kind == kind and template.specialist in (who, "")]
        drawn = _distinct(pool, who, quota, seen, rng)
        if len(drawn) < quota:
            raise UserError(f"--count {count}: only {len(drawn)} distinct {kind} examples of {who}; ask for fewer.")
        rows += drawn
    numbers = dict.fromkeys(SPECIALISTS, 0)
    for row in rows:
        for call in row["tool_calls"]:
            if errors := fits(call["tool"], call["parameters"]):
                raise UserError(f"--schema does not fit the generator: {errors[0]} Use data/raw/tools/schema.json.")
        numbers[row["specialist"]] += 1
        row["id"] = f"{row['specialist']}-{row['kind']}-{numbers[row['specialist']]:04d}"
    return rows


def quotas(count: int) -> dict[tuple[str, str], int]:
    """The number of examples of each (kind, specialist), by the largest remainder method; they add up to ``count``."""
    exact = {(kind, who): count * part / len(SPECIALISTS) for kind, part in FRACTIONS.items() for who in SPECIALISTS}
    result = {key: int(value) for key, value in exact.items()}
    rest = sorted(exact, key=lambda key: (result[key] - exact[key], key))
    for key in rest[: count - sum(result.values())]:
        result[key] += 1
    return result


def _distinct(pool: list[Template], who: str, quota: int, seen: set[str], rng: random.Random) -> list[Example]:
    """Up to ``quota`` new examples, from each template in turn; a template without a new example is dropped.

    Two examples are equal if their instructions and parameters are; ``seen`` collects the keys of all examples.
    """
    pool = rng.sample(pool, len(pool))
    rows: list[Example] = []
    while pool and len(rows) < quota:
        template = pool.pop(0)
        for _ in range(TRIES):
            row = example(template, who, rng)
            key = canonical_json([row["instruction"].casefold(), [call["parameters"] for call in row["tool_calls"]]])
            if key not in seen:
                seen.add(key)
                rows.append(row)
                pool.append(template)
                break
    return rows


def example(template: Template, who: str, rng: random.Random) -> Example:
    """One raw example of a template for a specialist, without an id.

    The keys ``turns`` and ``answer`` exist only if the template has results and answers.
    """
    values = render.draw_values(template, rng)
    instruction = render.dressed(render.request(template, values, rng), template, who, rng)
    calls = [render.call(step, values) for step in template.steps]
    kind = "calls" if template.kind in ("single", "plan") else template.kind
    explained = []
    for call in calls:
        rationale, expected = wording().calls[call["tool"]]
        explained.append({**call, "rationale": rationale, "expected_output": expected})
    row: Example = {
        "id": "",
        "source": "generated",
        "context": {},
        "instruction": instruction,
        "tool_calls": explained,
        "success_criteria": wording().criteria[kind],
        "difficulty": difficulty(template, calls, values),
        "kind": kind,
        "specialist": who,
        "template": template.id,
    }
    dump, style = rng.randbytes(LONGEST_DUMP), rng.randrange(2)
    for call, step in zip(calls, template.steps, strict=True):
        if step.results:
            content = render.filled(step.results[style], values, who, dump, rng)
            turn = {"tool_calls": [call], "results": [{"tool": step.tool, "content": content}]}
            row.setdefault("turns", []).append(turn)
    if template.answers:
        row["answer"] = render.filled(rng.choice(template.answers), values, who, dump, rng)
    return row


def difficulty(template: Template, calls: list[dict[str, Any]], values: Values) -> str:
    """Simple: at most one call and one value to convert. Complex: three calls, or one that depends on a result."""
    if len(calls) > 2 or template.kind == "follow_up":
        return "complex"
    drawn = [values[slot] for slot in set(template.slots) if slot in values]
    converted = sum(str(value.value) not in value.text for value in drawn)
    return "medium" if len(calls) == 2 or converted > 1 else "simple"
