"""Whether an example's calls keep the schema; and its calls in the one way of writing."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scripts.tools.examples import Example, Fault, Step
from scripts.tools.schema import Tool
from scripts.tools.values import normalise, plain_test, problem_of

Call = tuple[str, dict[str, Any]]
PlainTests = dict[str, tuple[frozenset[str], dict[str, tuple[int, Callable[[Any], bool]]]]]
MAX_CALLS = 5  # in one answer


def call_problems(call: Call, tools: Mapping[str, Tool]) -> Iterator[tuple[str, str]]:
    """(kind, sentence) of everything that is wrong with a call: tool, required and unknown parameters, values."""
    name, given = call
    tool = tools.get(name)
    if tool is None:
        yield "unknown_tool", f"no tool {name!r} in the schema; {_nearest(name, list(tools))}"
        return
    for key in tool.required:
        if key not in given:
            yield "missing_parameter", f"{name} lacks the required parameter {key!r}; add it."
    for key, value in given.items():
        rule = tool.parameters.get(key)
        if rule is None:
            yield "unknown_parameter", f"{name} has no parameter {key!r}; {_nearest(key, list(tool.parameters))}"
        elif wrong := problem_of(value, rule):
            yield "bad_value", f"{name}: {key} {wrong}."


def _nearest(name: str, known: list[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {found[0]!r}?" if found else f"known: {', '.join(sorted(known)) or 'none'}."


def too_many(example: Example) -> list[Fault]:
    """A fault where an answer has more calls at once than the server lets a model write."""
    most = max((len(step.calls) for step in example.steps), default=0)
    if most <= MAX_CALLS:
        return []
    message = f"{example.id}: {most} calls in one answer, more than {MAX_CALLS}; split it into steps with results."
    return [Fault(example.source, "too_many_calls", message)]


def faults_of(example: Example, tools: Mapping[str, Tool]) -> list[Fault]:
    """Everything that keeps an example out."""
    return too_many(example) + [
        Fault(example.source, kind, f"{example.id}, call {number}: {message}")
        for number, call in enumerate(example.calls, 1)
        for kind, message in call_problems(call, tools)
    ]


def canonical_call(call: Call, tools: Mapping[str, Tool]) -> Call:
    """The call with normalised values, parameters in the schema's order, then those it does not know."""
    name, given = call
    tool = tools.get(name)
    rules = tool.parameters if tool else {}
    known = {key: normalise(given[key], rule) for key, rule in rules.items() if key in given}
    return name, known | {key: normalise(given[key], None) for key in sorted(given.keys() - rules.keys())}


def plain_tests(tools: Mapping[str, Tool]) -> PlainTests:
    """For each tool its required parameters, and for each parameter its place and a quick test of plain values."""
    return {
        name: (
            frozenset(tool.required),
            {key: (place, plain_test(rule)) for place, (key, rule) in enumerate(tool.parameters.items())},
        )
        for name, tool in tools.items()
    }


def is_plain(example: Example, tests: PlainTests) -> bool:
    """Whether an example's calls keep the schema and are canonical, as far as a quick test can say."""
    return all(
        len(step.calls) <= MAX_CALLS and all(_is_plain_call(call, tests) for call in step.calls)
        for step in example.steps
        if step.calls
    )


def _is_plain_call(call: Call, tests: PlainTests) -> bool:
    name, given = call
    if name not in tests:
        return False
    required, parameters = tests[name]
    last = -1
    for key, value in given.items():
        place, test = parameters.get(key, (-1, None))
        if place <= last or test is None or not test(value):
            return False
        last = place
    return required <= given.keys()


def canonical(example: Example, tools: Mapping[str, Tool]) -> Example:
    """The example with canonical calls."""
    steps = [
        Step(step.role, step.text, tuple([canonical_call(call, tools) for call in step.calls])) if step.calls else step
        for step in example.steps
    ]
    return example._replace(steps=tuple(steps))
