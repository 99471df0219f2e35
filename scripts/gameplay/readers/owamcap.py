"""OWAMcap recordings of a desktop: an .mcap of messages, and the video that its screen messages refer to.

Versions 0.3.2 (``{"path", "pts", "utc_ns"}``) and 0.5.1 (``{"media_ref": {"uri", "pts_ns"}, "utc_ns"}``) are read.
There is a message when a key goes down, one when it comes up, and every second one with all keys that are down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import compress, pairwise
from pathlib import Path

import numpy as np

from scripts.gameplay.keys import KEYS, code_of
from scripts.gameplay.options import MouseOptions, VideoOptions
from scripts.gameplay.raw import Fault
from scripts.gameplay.readers.mcap_file import Message, read_messages
from scripts.gameplay.readers.order import in_order, runs
from scripts.gameplay.readers.recording import UNKNOWN, Recording, Turns, states_of
from scripts.gameplay.readers.screens import screens_of
from scripts.gameplay.readers.video import Video, must_be_there

SLACK = 100  # milliseconds; threads of the recorder write a little out of order


def read_owamcap(path: Path, mouse: MouseOptions, limits: VideoOptions) -> Recording:
    """The messages of a recording; the video is not read.

    Raises:
        RecordingError: the file cannot be read, refers to no video or to a missing one, or its clocks disagree.
    """
    messages, faults = read_messages(path)
    stamps = np.array([message.stamp for message in messages], np.int64)
    late = np.maximum.accumulate(stamps) - stamps
    chosen = in_order(stamps) if bool((late > SLACK).any()) else np.ones(len(stamps), bool)
    for first, last in runs(~chosen):
        text = f"messages {first + 1} to {last + 1} run against the order of the file, at {stamps[first]} ms: "
        faults.append(Fault(path.as_posix(), "backwards", f"{text}time ran backwards; they are left out."))
    kept = sorted(compress(messages, chosen.tolist()), key=lambda message: message.stamp)
    screens, bad_screens = screens_of(path, kept, limits)
    must_be_there(screens.video)
    states, ignored = states_in(messages, chosen.tolist())
    alive = [message.stamp for message in kept]
    if any(fault.kind == "mcap" for fault in faults):  # the file breaks off: the keys after that are unknown
        alive.append(alive[-1] + 1)
        states.append((alive[-1], UNKNOWN))
    changes, codes = states_of(states)
    return Recording(
        "events",
        changes,
        codes,
        alive=np.array(alive, np.int64),
        shots=screens.stamps,
        pictures=Video(screens.video, screens.match, screens.clock),
        turns=Turns.of(list(turns_in(kept, mouse))),
        faults=[*faults, *bad_screens],
        ignored=ignored,
    )


def states_in(messages: Sequence[Message], chosen: Sequence[bool]) -> tuple[list[tuple[int, int]], Counter[str]]:
    """The keys over time as sorted (milliseconds, code), and the presses of keys outside the vocabulary.

    A message out of order still gives the keys that are down, but not since when, so the keys are unknown until the
    next message in order.
    """
    states: list[tuple[int, int]] = []
    ignored: Counter[str] = Counter()
    down: frozenset[str] = frozenset()
    last, known = None, True
    for message, kept in zip(messages, chosen, strict=True):
        before = down
        if message.kind == "keys":
            down = message.value
        elif message.kind == "key":
            key, pressed = message.value
            down = down | {key} if pressed else down - {key}
        elif message.kind == "click":
            ignored[message.value] += 1
        ignored.update(key for key in down - before if key not in KEYS)
        if kept:
            code = code_of(down.intersection(KEYS))
            if not known or last is None or states[-1][1] != code:
                states.append((message.stamp, code))
            last, known = message.stamp, True
        elif known and last is not None:
            states.append((last + 1, UNKNOWN))
            known = False
    return sorted(states, key=lambda state: state[0]), ignored


def turns_in(kept: Sequence[Message], mouse: MouseOptions) -> Iterator[tuple[int, float, float]]:
    """Movements of the mouse as (milliseconds, right, down).

    A game that keeps the pointer in the middle of its window moves it back there, and the cursor's differences then
    cancel out: such a recording needs raw movements.
    """
    kind = mouse.turns
    if kind == "auto":
        kind = "raw" if any(message.kind == "raw" for message in kept) else "cursor"
    rows = [(message.stamp, *message.value) for message in kept if message.kind == kind]
    if kind == "raw":
        yield from rows
    for (_, *before), (stamp, *after) in pairwise(rows if kind == "cursor" else []):
        yield stamp, after[0] - before[0], after[1] - before[1]
