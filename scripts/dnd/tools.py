"""The tool registry from scenarios: scan finds the tools in use, extend adds one's own, document writes a page.

`scan` counts the calls of every turn but SYSTEM (which describes calls, and makes none) and notes the shapes of their
arguments; `extend` merges a user's list ``{"tools": [{"name": "bless", "parameters": ["character", "spell"]}]}``.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Collection
from pathlib import Path

from tqdm import tqdm

from scripts.dnd.canonical import DICE, canonical, resolve
from scripts.dnd.options import DndCheckOptions
from scripts.dnd.registry import Parameter, Registry, Tool, load_registry, load_tools
from scripts.dnd.scenario import Scenario, read_scenario
from scripts.dnd.sources import find_scenarios
from scripts.lib.cli import StageParser, load_params, run, say
from scripts.lib.files import write_text

TITLE = "# Tools of the dungeon master\n"
INTRO = """
Calls stand in square brackets: `[name: argument, argument]`. In training text every call has this one form: arguments
in the order below, characters spelled as in the party list, all else in lower case, dice without blanks, modifiers
with their sign, spell levels and difficulty classes as plain numbers.
"""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    verbs = result.add_subparsers(dest="verb", required=True, parser_class=argparse.ArgumentParser)
    scan = verbs.add_parser("scan", help="find the tools that scenarios use")
    scan.add_argument("paths", nargs="+", type=Path, help="scenario files, or folders searched for *.md")
    scan.add_argument("--out", type=Path, required=True, help="registry JSON to write")
    scan.add_argument("--extra", type=Path, help="a list of tools to add to the six known ones")
    extend = verbs.add_parser("extend", help="merge a list of one's own tools into a registry")
    extend.add_argument("registry", type=Path)
    extend.add_argument("--from", type=Path, required=True, dest="source", help="JSON list of tools")
    extend.add_argument("--out", type=Path, help="where to write; the registry itself where none is given")
    document = verbs.add_parser("document", help="write a registry as a Markdown page")
    document.add_argument("registry", type=Path)
    document.add_argument("--out", type=Path, required=True)
    for verb in (scan, extend, document):
        # After the verb, --log must not put the default over what stands before it.
        verb.add_argument("--log", type=Path, default=argparse.SUPPRESS, help="also write everything said to this file")
    return result


def argument_shape(text: str, names: Collection[str] = ()) -> str:
    """The shape of one argument: dice, number, name (a known character), counted (``Rations 2``) or text."""
    if DICE.fullmatch(text):
        return "dice"
    if re.fullmatch(r"[+−-]?\d[\d,.]*", text):
        return "number"
    if resolve(text, names):
        return "name"
    return "counted" if re.fullmatch(r"\D+\s\d+|\d+\s\D+", text) else "text"


def scan_registry(scenarios: list[Scenario], registry: Registry) -> Registry:
    """A registry with what was seen: counts, argument shapes and an example a tool, new tools included.

    Shapes of known tools are those of the canonical form, so that ``[spellcast: X, 2nd level, Dax]`` shows no new one.
    """
    shapes: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    examples: dict[str, dict] = {}
    for scenario in scenarios:
        turns = zip(scenario.turns, scenario.calls, strict=True)
        for call in [call for turn, calls in turns if turn.role != "system" for call in calls]:
            form = canonical(call, registry, scenario.names)
            shapes[form.name][tuple(argument_shape(arg, scenario.names) for arg in form.args)] += 1
            example = {"call": form.text, "file": scenario.source.name, "line": call.line}
            if len(form.text) < len(examples.get(form.name, {"call": " " * 999})["call"]):
                examples[form.name] = example
    tools = [_seen(tool, shapes.pop(tool.name, Counter()), examples.get(tool.name)) for tool in registry.tools]
    plain = {name: re.sub(r"[^a-z0-9]+", "_", name).strip("_") for name in shapes}
    new = [Tool(name=plain[name], known=False, parameters=_parameters(shapes[name])) for name in sorted(shapes)]
    tools += [_seen(tool, shapes[name], examples[name]) for name, tool in zip(sorted(shapes), new, strict=True)]
    return Registry(tools)


def _seen(tool: Tool, counts: Counter[tuple[str, ...]], example: dict | None) -> Tool:
    ranked = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    shapes = tuple({"arguments": list(shape), "count": count} for shape, count in ranked)
    return tool.model_copy(update={"seen": sum(counts.values()), "shapes": shapes, "example": example})


def _parameters(counts: Counter[tuple[str, ...]]) -> tuple[Parameter, ...]:
    """Parameters of a tool that nobody described, after its most frequent shape."""
    shape = min(counts, key=lambda shape: (-counts[shape], shape))
    total = Counter(shape)
    used: Counter[str] = Counter()
    rows = []
    for kind in shape:
        used[kind] += 1
        name = {"name": "character", "counted": "amount"}.get(kind, kind)
        rows.append(Parameter(name=name if total[kind] == 1 else f"{name} {used[kind]}"))
    return tuple(rows)


def page(registry: Registry) -> str:
    """The registry as a Markdown page."""
    known = [tool for tool in registry.tools if tool.known]
    wild = [tool for tool in registry.tools if not tool.known and tool.seen]
    lines = [TITLE + INTRO, "## Known tools\n", *_table(known)]
    if wild:
        lines += ["\n## Others, met in the scenarios\n", *_table(wild)]
        lines.append("\n`python -m scripts.dnd.tools extend` makes one of them a known tool.")
    for tool in known + wild:
        lines += _section(tool)
    return "\n".join(lines) + "\n"


def _table(tools: list[Tool]) -> list[str]:
    rows = [f"| {tool.name} | `{tool.form}` | {tool.description} | {tool.seen} |" for tool in tools]
    return ["| tool | form | what for | seen |", "|---|---|---|---|", *rows]


def _section(tool: Tool) -> list[str]:
    lines = [f"\n## {tool.name}\n", f"`{tool.form}`" + (f": {tool.description}" if tool.description else "")]
    lines += (
        ["", *(f"- {parameter.name}: {parameter.type}" for parameter in tool.parameters)] if tool.parameters else []
    )
    if tool.shapes:
        shown = "; ".join(f"{', '.join(shape['arguments']) or 'none'} ({shape['count']})" for shape in tool.shapes)
        lines.append(f"\nArguments seen: {shown}.")
    if tool.example:
        lines.append(f"\nExample: `{tool.example['call']}` ({tool.example['file']}, line {tool.example['line']})")
    return lines


def main(args: argparse.Namespace) -> None:
    """Runs the verb."""
    if args.verb == "scan":
        registry = Registry()
        if args.extra:
            registry = registry.merged(load_tools(args.extra))
        options = DndCheckOptions.parse(load_params(args.params))
        sources = tqdm(find_scenarios(args.paths), desc="scan", unit="file", disable=None)
        scenarios = [read_scenario(source, registry, options) for source in sources]
        bad = sum(bool(scenario.errors) for scenario in scenarios)
        if bad:
            say(f"{bad} of {len(scenarios)} scenarios have errors; `python -m scripts.dnd.check` names them.")
        found = scan_registry(scenarios, registry)
        found.write(args.out)
        new = [tool.name for tool in found.tools if not tool.known and tool.seen]
        seen = sum(tool.seen for tool in found.tools)
        say(f"{args.out}: {seen} calls; tools besides the known ones: {', '.join(new) or 'none'}")
    elif args.verb == "extend":
        registry = load_registry(args.registry).merged(load_tools(args.source))
        registry.write(args.out or args.registry)
        say(f"{args.out or args.registry}: {sum(tool.known for tool in registry.tools)} known tools")
    else:
        write_text(args.out, page(load_registry(args.registry)))
        say(f"{args.out}: written")


if __name__ == "__main__":
    run(parser, main)
