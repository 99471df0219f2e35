"""Validates an example's calls against the schema, and writes them in canonical form."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scripts.tools.examples import Example, Fault
from scripts.tools.schema import Tool
from scripts.tools.values import normalise, plain_test, problem_of

Call = tuple[str, dict[str, Any]]
# By tool: its required parameters, and for each parameter its position in the schema and its `plain_test`.
PlainTests = dict[str, tuple[frozenset[str], dict[str, tuple[int, Callable[[Any], bool]]]]]
MAX_CALLS = 5  # in one answer


def call_problems(call: Call, tools: Mapping[str, Tool]) -> Iterator[tuple[str, str]]:
    """Yields (kind, sentence) of every error of a call: unknown tool, missing or unknown parameter, invalid value."""
    name, arguments = call
    tool = tools.get(name)
    if tool is None:
        yield "unknown_tool", f"no tool {name!r} in the schema; {_nearest(name, list(tools))}"
        return
    for key in tool.required:
        if key not in arguments:
            yield "missing_parameter", f"{name} lacks the required parameter {key!r}; add it."
    for key, value in arguments.items():
        rule = tool.parameters.get(key)
        if rule is None:
            yield "unknown_parameter", f"{name} has no parameter {key!r}; {_nearest(key, list(tool.parameters))}"
        elif problem := problem_of(value, rule):
            yield "bad_value", f"{name}: {key} {problem}."


def _nearest(name: str, known: list[str]) -> str:
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {matches[0]!r}?" if matches else f"known: {', '.join(sorted(known)) or 'none'}."


def faults_of(example: Example, tools: Mapping[str, Tool]) -> list[Fault]:
    """All reasons to reject an example: more than `MAX_CALLS` calls in one answer, and every error of its calls.

    The server's grammar allows the model at most `MAX_CALLS` calls in one answer.
    """
    faults = []
    most = max((len(step.calls) for step in example.steps), default=0)
    if most > MAX_CALLS:
        message = f"{most} calls in one answer, more than {MAX_CALLS}; split it into steps with results."
        faults.append(Fault(example.source, "too_many_calls", f"{example.id}: {message}"))
    for number, call in enumerate(example.calls, 1):
        for kind, message in call_problems(call, tools):
            faults.append(Fault(example.source, kind, f"{example.id}, call {number}: {message}"))
    return faults


def canonical_call(call: Call, tools: Mapping[str, Tool]) -> Call:
    """The call with normalised values: the schema's parameters in its order, then unknown ones sorted by name."""
    name, arguments = call
    rules = tools[name].parameters if name in tools else {}
    known = {key: normalise(arguments[key], rule) for key, rule in rules.items() if key in arguments}
    return name, known | {key: normalise(arguments[key], None) for key in sorted(arguments.keys() - rules.keys())}


def canonical(example: Example, tools: Mapping[str, Tool]) -> Example:
    """The example with canonical calls."""
    steps = [step._replace(calls=tuple(canonical_call(call, tools) for call in step.calls)) for step in example.steps]
    return example._replace(steps=tuple(steps))


def plain_tests(tools: Mapping[str, Tool]) -> PlainTests:
    """What `is_plain` compares calls with."""
    return {
        name: (
            frozenset(tool.required),
            {key: (place, plain_test(rule)) for place, (key, rule) in enumerate(tool.parameters.items())},
        )
        for name, tool in tools.items()
    }


def is_plain(example: Example, tests: PlainTests) -> bool:
    """A fast check that an example's calls are valid and canonical; True is certain, False is not."""
    return all(
        len(step.calls) <= MAX_CALLS and all(_is_plain_call(call, tests) for call in step.calls)
        for step in example.steps
        if step.calls
    )


def _is_plain_call(call: Call, tests: PlainTests) -> bool:
    name, arguments = call
    if name not in tests:
        return False
    required, parameters = tests[name]
    last = -1
    for key, value in arguments.items():
        place, test = parameters.get(key, (-1, None))
        if place <= last or test is None or not test(value):
            return False
        last = place
    return required <= arguments.keys()
