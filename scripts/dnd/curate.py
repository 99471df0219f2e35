"""Scenarios to train, val and test: one record shape, no leakage, nothing dropped without a reason.

Malformed scenarios are set aside, repeats removed, near duplicates kept in one split, and scenarios divided whole.
Written are train.jsonl, val.jsonl, test.jsonl, quarantine.jsonl with every reason, and stats.json with all counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from scripts.dnd.conversation import fit, spoken
from scripts.dnd.options import DndCheckOptions, DndCurateOptions
from scripts.dnd.registry import Registry, load_registry, system_preamble
from scripts.dnd.scenario import Scenario, read_scenario
from scripts.dnd.sources import find_scenarios
from scripts.dnd.statistics import Facts, collect
from scripts.lib.chat import encode, render, render_text
from scripts.lib.cli import StageParser, load_params, run
from scripts.lib.curation import Row, check_no_leakage, keys_by_split, quarantined, refuse_too_many_bad, write_curated
from scripts.lib.files import digest
from scripts.lib.leakage import clusters, exact_pairs, near_pairs, repeats, words
from scripts.lib.records import Record
from scripts.lib.split import Group, split_groups
from scripts.lib.tokenizer import Tokenizer

LONG_ANSWER = 20  # words; shorter answers ("What do you do?") recur in honest scenarios and are no leak


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


def main(args: argparse.Namespace) -> None:
    """Reads, removes repeats, groups, splits, checks the split, and writes."""
    options = DndCurateOptions.parse(load_params(args.params))
    check = DndCheckOptions.parse(load_params(args.check), "--check")
    registry, tokenizer = load_registry(args.registry), Tokenizer(args.base)
    preamble = system_preamble(args.system_prompt, registry)
    scenarios, aside = read_all(args.paths, registry, check)
    files = len(scenarios) + len(aside)
    scenarios, records = make_records(scenarios, aside, registry, tokenizer, preamble, options.max_tokens)

    texts, owners = compared_texts(records)
    exact, near = exact_pairs(texts), near_pairs(texts, options.near_threshold)
    scenario_of = {key: record.group for key, record in records.items()}
    same = [(scenario_of[owners[first]], scenario_of[owners[second]]) for first, second, _ in [*exact, *near]]
    groups = clusters(scenario_of.values(), same)
    records = {key: record.model_copy(update={"group": groups[record.group]}) for key, record in records.items()}
    sides = split_records(records, scenarios, options)
    where = {text: sides[record] for text, record in owners.items()}
    leakage = check_no_leakage(
        {"exact": exact, "near": near}, where, "Delete one of each pair, or put them into one group."
    )

    splits = {
        side: [records[key] for key in keys] for side, keys in keys_by_split(sides, options.max_per_split).items()
    }
    rendered = [render(tokenizer, record) for side in splits.values() for record in side]
    facts = Facts(scenarios, records, splits, rendered, sides, groups, aside, registry, files)
    stats = collect(facts, options, leakage, preamble)
    turns = ", ".join(f"{side} {count}" for side, count in stats["turns"]["scored"].items())
    summary = f"{files} scenarios in, {len(scenarios)} out; scored turns: {turns}"
    write_curated(args.out, splits, aside, stats, summary)


def read_all(paths: Sequence[Path], registry: Registry, check: DndCheckOptions) -> tuple[list[Scenario], list[Row]]:
    """Every scenario that can be learned from, and for each of the others its first error.

    Raises:
        UserError: there are no scenarios, or more malformed ones than ``max_bad_share``.
    """
    scenarios, aside = [], []
    sources = find_scenarios(paths)
    for source in tqdm(sources, desc="read", unit="file", disable=None):
        scenario = read_scenario(source, registry, check)
        bad = [*scenario.errors, *(problem for problem in scenario.problems if problem.kind == "no_dm_turn")]
        if bad:
            aside.append(quarantined(source.name, bad[0].line, bad[0].kind, bad[0].message, what="file"))
        else:
            scenarios.append(scenario)
    advice = "mend them; `python -m scripts.dnd.check` lists all"
    refuse_too_many_bad(aside, len(sources), check.max_bad_share, "check.max_bad_share", "scenarios", advice)
    return scenarios, aside


def make_records(
    scenarios: Sequence[Scenario],
    aside: list[Row],
    registry: Registry,
    tokenizer: Tokenizer,
    preamble: str,
    max_tokens: int,
) -> tuple[list[Scenario], dict[str, Record]]:
    """The scenarios that are used, and their records by id.

    Scenarios that repeat an earlier one, and turns that fit no window, are added to ``aside``.
    """

    def count(record: Record) -> int:
        """Tokens of the record; far above the limit they are estimated, because rendering would take long."""
        if sum(len(message.text) for message in record.messages) > 16 * max_tokens:
            estimate = sum(len(encode(tokenizer, message.text)) for message in record.messages)
            if estimate > 2 * max_tokens:
                return estimate
        return len(encode(tokenizer, render_text(tokenizer, record.messages, record.tools, prompt=False)))

    messages = {scenario.source.name: spoken(scenario, registry, preamble) for scenario in scenarios}
    contents = {name: "\n".join(row.message.text for row in rows) for name, (_, rows) in messages.items()}
    copies = repeats({name: tuple(words(text)) for name, text in contents.items()})
    used, records = [], {}
    for scenario in tqdm(scenarios, desc="curate", unit="scenario", disable=None):
        name = scenario.source.name
        if name in copies:
            message = f"has the same words as {copies[name]}; delete one of them."
            aside.append(quarantined(name, 1, "duplicate", message, what="file"))
            continue
        parts, left_out = fit(scenario, *messages[name], count, max_tokens)
        what = "turn" if parts else "file"
        aside += [quarantined(name, line, "too_long", message, what=what) for line, message in left_out]
        records |= {record.id: record for record in parts}
        used += [scenario] if parts else []
    return used, records


def conversation(record: Record) -> str:
    """What is compared between records: all messages but the system turn."""
    return "\n".join(message.text for message in record.messages if message.role != "system")


def compared_texts(records: Mapping[str, Record]) -> tuple[dict[str, str], dict[str, str]]:
    """The texts whose exact and near pairs count, and the id of the record of each text.

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


def split_records(
    records: Mapping[str, Record], scenarios: Sequence[Scenario], options: DndCurateOptions
) -> dict[str, str]:
    """The split of each record; a group's draw depends on its content, its stratum is its first record's folder."""
    category = {scenario.source.name: scenario.source.category for scenario in scenarios}
    groups: dict[str, Group] = {}
    for _, record in sorted(records.items()):
        own = Group(digest(words(conversation(record))), category[record.meta["file"]])
        known = groups.get(record.group, own)
        groups[record.group] = Group(min(known.content, own.content), known.stratum)
    sides = split_groups(groups, options.val_share, options.test_share, options.seed)
    return {key: sides[record.group] for key, record in records.items()}


if __name__ == "__main__":
    run(parser, main)
