"""OWAMcap recordings of a desktop: an .mcap of messages, and the video that its screen messages refer to.

Read are versions 0.3.2 (``{"path", "pts", "utc_ns"}``) and 0.5.1 (``{"media_ref": {"uri", "pts_ns"}, "utc_ns"}``).
A key is a message when it goes down and when it comes up; all that are down are told again every second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from scripts.gameplay.keys import KEYS, code_of
from scripts.gameplay.options import MouseOptions, VideoOptions
from scripts.gameplay.raw import Fault
from scripts.gameplay.readers.mcap_file import Said, read_messages
from scripts.gameplay.readers.order import in_order, runs
from scripts.gameplay.readers.recording import UNKNOWN, Recording, Turns, states_of
from scripts.gameplay.readers.screens import screens_of
from scripts.gameplay.readers.video import Video, must_be_there

SLACK = 100  # milliseconds; threads of the recorder write a little out of order


def read_owamcap(path: Path, mouse: MouseOptions, limits: VideoOptions) -> Recording:
    """The messages of a recording, its video unread.

    Raises:
        RecordingError: the file cannot be read, refers to no video or to one that is not there, or its clocks disagree.
    """
    said, faults = read_messages(path)
    chosen = kept_of([one.stamp for one in said])
    faults += [backwards(path, said, first, last) for first, last in runs(~chosen)]
    kept = [one for one, is_kept in zip(said, chosen.tolist(), strict=True) if is_kept]
    kept.sort(key=lambda one: one.stamp)
    screens, bad_screens = screens_of(path, kept, limits)
    must_be_there(screens.video)
    states, ignored = states_in(said, chosen.tolist())
    alive = [one.stamp for one in kept]
    if any(fault.kind == "mcap" for fault in faults):  # nobody knows what came after: this is no true end
        alive.append(alive[-1] + 1)
        states.append((alive[-1], UNKNOWN))
    stamps, codes = states_of(states)
    return Recording(
        "events",
        stamps,
        codes,
        alive=np.array(alive, np.int64),
        shots=screens.stamps,
        pictures=Video(screens.video, screens.match, screens.clock),
        turns=Turns.of(list(turns_in(kept, mouse))),
        faults=[*faults, *bad_screens],
        ignored=ignored,
    )


def kept_of(stamps: Sequence[int]) -> np.ndarray:
    """Whether each message's time is in order, but for the recorder's slack, bool [messages]."""
    values = np.array(stamps, np.int64)
    late = np.maximum.accumulate(values) - values if len(values) else values
    return in_order(stamps) if bool((late > SLACK).any()) else np.ones(len(values), bool)


def backwards(path: Path, said: Sequence[Said], first: int, last: int) -> Fault:
    """That the time of some messages, counted from 0, runs backwards."""
    message = f"messages {first + 1} to {last + 1} run against the order of the file, at {said[first].stamp} ms: "
    return Fault(path.as_posix(), "backwards", f"{message}time ran backwards; they are left out.")


def states_in(said: Sequence[Said], chosen: Sequence[bool]) -> tuple[list[tuple[int, int]], Counter[str]]:
    """When the keys held changed, as (milliseconds, code), and presses of what is outside the vocabulary.

    Messages out of order still say which keys are down; only when is not known, and so are the keys until the next.
    """
    states: list[tuple[int, int]] = []
    ignored: Counter[str] = Counter()
    down: frozenset[str] = frozenset()
    last, known = None, True
    for one, kept in zip(said, chosen, strict=True):
        before, down = down, down_after(one, down)
        ignored.update(key for key in down - before if key not in KEYS)
        if one.kind == "click":
            ignored[one.value] += 1
        if kept:
            code = code_of(down.intersection(KEYS))
            if not known or last is None or states[-1][1] != code:
                states.append((one.stamp, code))
            last, known = one.stamp, True
        elif known and last is not None:
            states.append((last + 1, UNKNOWN))
            known = False
    return sorted(states, key=lambda row: row[0]), ignored


def down_after(one: Said, down: frozenset[str]) -> frozenset[str]:
    """The keys that are down after a message."""
    if one.kind == "keys":
        return one.value
    if one.kind == "key":
        key, pressed = one.value
        return down | {key} if pressed else down - {key}
    return down


def turns_in(kept: Sequence[Said], mouse: MouseOptions) -> Iterator[tuple[int, float, float]]:
    """Movements of the mouse: (milliseconds, right, down).

    A game that keeps the pointer in the middle of its window moves it back there, and the cursor's differences then
    cancel out: such a recording needs raw movements.
    """
    kind = mouse.turns
    if kind == "auto":
        kind = "raw" if any(one.kind == "raw" for one in kept) else "cursor"
    rows = [(one.stamp, *one.value) for one in kept if one.kind == kind]
    if kind == "raw":
        yield from rows
    for (_, *before), (stamp, *after) in pairwise(rows if kind == "cursor" else []):
        yield stamp, after[0] - before[0], after[1] - before[1]
