"""Scenarios to train, val and test: one record shape, no leakage, nothing dropped without a reason.

Reads, quarantines what is malformed, removes repeats, keeps near duplicates on one side, splits by scenario, proves
that nothing leaks, and writes stats.json with counts in and out and quarantine.jsonl with every reason.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.dnd.conversation import Count, fit, spoken
from scripts.dnd.options import DndCheckOptions, DndCurateOptions
from scripts.dnd.registry import Registry, load_registry, system_preamble
from scripts.dnd.scenario import Scenario, Source, find_scenarios, read_scenario
from scripts.dnd.statistics import Facts, collect
from scripts.lib.chat import Rendered, encode, render, render_text
from scripts.lib.cli import StageParser, UserError, load_params, run, say
from scripts.lib.files import digest, write_json, write_jsonl
from scripts.lib.leakage import Pair, across, clusters, exact_pairs, near_pairs, words
from scripts.lib.records import Record, write_records
from scripts.lib.split import SPLITS, Group, split_groups
from scripts.lib.tokenizer import Tokenizer

# Shorter answers ("What do you do?") recur in honest scenarios and are no leak.
LONG_ANSWER = 20
NAMED = 10  # of what is set aside, on the screen


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = StageParser(__doc__)
    result.add_argument("paths", nargs="+", type=Path, help="scenario files, or folders searched for *.md")
    result.add_argument("--registry", type=Path, help="registry JSON; the built-in tools where none is given")
    result.add_argument("--base", type=Path, required=True, help="folder with the tokenizer that counts tokens")
    result.add_argument("--out", type=Path, required=True, help="folder for the splits, stats.json, quarantine.jsonl")
    result.add_argument("--system-prompt", default="", help="the run's prompt, in front of every SYSTEM turn")
    result.add_argument("--check", default="{}", help="options for reading scenarios as JSON, or @file.json")
    return result


@dataclass
class Curated:
    """The work in progress: records by id, and everything that stayed out, each with its reason."""

    records: dict[str, Record] = field(default_factory=dict)
    rendered: dict[str, Rendered] = field(default_factory=dict)
    dropped: list[dict[str, Any]] = field(default_factory=list)
    scenarios: list[Scenario] = field(default_factory=list)

    def drop(self, source: Source, line: int, kind: str, message: str, what: str = "file") -> None:
        """Notes that a file, or one turn of it, stays out."""
        row = {"file": source.name, "row": line, "what": what, "reason": kind, "message": message}
        self.dropped.append(row)


def conversation(record: Record) -> str:
    """What is compared between records: all that is said, the system turn aside."""
    return "\n".join(message.text for message in record.messages if message.role != "system")


def compared_texts(records: Mapping[str, Record]) -> tuple[dict[str, str], dict[str, str]]:
    """The texts whose exact and near pairs count, and the id of the record each belongs to.

    They are whole conversations (named by their id) and long answers (``id, message n``).
    """
    texts, owners = {}, {}
    for key, record in records.items():
        answers = {f"{key}, message {index}": record.messages[index].text for index in record.answers}
        own = {name: text for name, text in answers.items() if len(words(text)) >= LONG_ANSWER}
        own[key] = conversation(record)
        texts |= own
        owners |= dict.fromkeys(own, key)
    return texts, owners


def read_all(paths: Sequence[Path], registry: Registry, check: DndCheckOptions) -> Curated:
    """Reads every scenario; malformed ones are quarantined.

    Raises:
        UserError: no scenarios, or more malformed ones than ``max_bad_share``.
    """
    work = Curated()
    sources = find_scenarios(paths)
    for source in tqdm(sources, desc="read", unit="file", disable=None):
        scenario = read_scenario(source, registry, check)
        bad = scenario.errors or [problem for problem in scenario.problems if problem.kind == "no_dm_turn"]
        for problem in bad[:1]:
            work.drop(source, problem.line, problem.kind, problem.message)
        if not bad:
            work.scenarios.append(scenario)
    _stop_if_too_bad(work.dropped, len(sources), check.max_bad_share)
    return work


def _stop_if_too_bad(dropped: Sequence[Mapping[str, Any]], total: int, limit: float) -> None:
    if len(dropped) <= limit * total and len(dropped) < total:
        return
    shown = "; ".join(f"{row['file']}, line {row['row']}: {row['message']}" for row in dropped[:3])
    more = f" (and {len(dropped) - 3} more)" if len(dropped) > 3 else ""
    raise UserError(
        f"{len(dropped)} of {total} scenarios are malformed, more than max_bad_share {limit:g}: {shown}{more} "
        "Mend them; `python -m scripts.dnd.check` lists all."
    )


def make_records(work: Curated, registry: Registry, tokenizer: Any, preamble: str, limit: int) -> None:
    """Fills ``work.records``; scenarios that repeat an earlier one, and turns that fit no window, are dropped."""
    first: dict[tuple[str, ...], str] = {}
    count = _counter(tokenizer, limit)
    kept = []
    for scenario in tqdm(work.scenarios, desc="curate", unit="scenario", disable=None):
        system, rows = spoken(scenario, registry, preamble)
        said = tuple(words("\n".join(row.message.text for row in rows)))
        same = first.setdefault(said, scenario.source.name)
        if same != scenario.source.name:
            work.drop(scenario.source, 1, "duplicate", f"says the same as {same}; delete one of them.")
            continue
        records, out = fit(scenario, system, rows, count, limit)
        for line, message in out:
            work.drop(scenario.source, line, "too_long", message, "turn" if records else "file")
        for record in records:
            work.records[record.id] = record
            work.rendered[record.id] = render(tokenizer, record)
        kept += [scenario] if records else []
    work.scenarios = kept


def _counter(tokenizer: Any, limit: int) -> Count:
    """Counts a record's tokens; one that is far too long is estimated, because rendering it would take long."""

    def count(record: Record) -> int:
        if sum(len(message.text) for message in record.messages) > 16 * limit:
            rough = sum(len(encode(tokenizer, message.text)) for message in record.messages)
            if rough > 2 * limit:
                return rough
        return len(encode(tokenizer, render_text(tokenizer, record.messages, record.tools, prompt=False)))

    return count


def assign_groups(work: Curated, pairs: Sequence[Pair], owners: Mapping[str, str]) -> dict[str, list[str]]:
    """Gives every record the group of its near duplicates; returns groups of several scenarios with their members."""
    scenario_of = {key: record.group for key, record in work.records.items()}
    same = [(scenario_of[owners[first]], scenario_of[owners[second]]) for first, second, _ in pairs]
    joined = clusters(scenario_of.values(), same)
    for key, record in work.records.items():
        work.records[key] = record.model_copy(update={"group": joined[record.group]})
    members: dict[str, list[str]] = {}
    for scenario, group in joined.items():
        members.setdefault(group, []).append(scenario)
    return {group: names for group, names in members.items() if len(names) > 1}


def split_records(work: Curated, options: DndCurateOptions) -> dict[str, str]:
    """The split of each record; a group's draw depends on its content, its stratum is its folder."""
    category = {scenario.source.name: scenario.source.category for scenario in work.scenarios}
    groups: dict[str, Group] = {}
    for _, record in sorted(work.records.items()):
        own = Group(digest(words(conversation(record))), category[record.meta["file"]])
        known = groups.get(record.group, own)
        groups[record.group] = Group(min(known.content, own.content), known.stratum)
    sides = split_groups(groups, options.val_share, options.test_share, options.seed)
    return {key: sides[record.group] for key, record in work.records.items()}


def prove(exact: Sequence[Pair], near: Sequence[Pair], sides: Mapping[str, str]) -> dict[str, int]:
    """Counts of pairs that lie across splits, which must be zero; ``sides`` gives the split of each text.

    Raises:
        UserError: they are not; it names the pairs.
    """
    leaks = {"exact": across(exact, sides), "near": across(near, sides)}
    found = leaks["exact"] or leaks["near"]
    if found:
        shown = "; ".join(
            f"{a} ({sides[a]}) and {b} ({sides[b]}), similarity {similarity:.2f}" for a, b, similarity in found[:5]
        )
        raise UserError(
            f"{len(leaks['exact'])} exact and {len(leaks['near'])} near pairs lie across splits: {shown}. "
            "Delete one of each pair, or put them into one group."
        )
    return {name: len(pairs) for name, pairs in leaks.items()}


def main(args: argparse.Namespace) -> None:
    """Curates, proves and writes."""
    options = DndCurateOptions.parse(load_params(args.params))
    check = DndCheckOptions.parse(load_params(args.check), "--check")
    registry = load_registry(args.registry)
    tokenizer = Tokenizer(args.base)
    preamble = system_preamble(args.system_prompt, registry)
    work = read_all(args.paths, registry, check)
    read = len(work.scenarios) + len(work.dropped)
    make_records(work, registry, tokenizer, preamble, options.max_tokens)
    texts, owners = compared_texts(work.records)
    exact, near = exact_pairs(texts), near_pairs(texts, options.near_threshold)
    joined = assign_groups(work, [*exact, *near], owners)
    sides = split_records(work, options)
    leakage = prove(exact, near, {text: sides[record] for text, record in owners.items()})
    facts = Facts(work.scenarios, work.records, work.rendered, sides, work.dropped, registry, read)
    stats = collect(facts, options, leakage, joined, preamble)
    for side in SPLITS:
        rows = [record for key, record in sorted(work.records.items()) if sides[key] == side]
        write_records(args.out / f"{side}.jsonl", rows)
    write_jsonl(args.out / "quarantine.jsonl", work.dropped)
    write_json(args.out / "stats.json", stats)
    for row in work.dropped[:NAMED]:
        say(f"set aside: {row['file']}, line {row['row']}: {row['message']}")
    if len(work.dropped) > NAMED:
        say(f"set aside: {len(work.dropped) - NAMED} more, all in {args.out / 'quarantine.jsonl'}")
    scored = stats["turns"]["scored"]
    say(
        f"{args.out}: {stats['scenarios']['in']} scenarios in, {stats['scenarios']['out']} out; "
        + ", ".join(f"{side} {stats['records'][side]} records with {scored[side]} scored turns" for side in SPLITS)
    )


if __name__ == "__main__":
    run(parser, main)
