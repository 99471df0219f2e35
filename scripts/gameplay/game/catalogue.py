"""The objects that a goal may name, and goals as text: "Go to the armor", "Pick up the medkit"."""

from __future__ import annotations

from typing import NamedTuple

GO, PICK = "Go to the ", "Pick up the "


class Kind(NamedTuple):
    """An object: its name in goals, its frames in the game's own sprites, how it is shown and what it blocks.

    ``sprite`` is a sprite's name and the frames it runs through, ``scale`` how many times its size it is drawn,
    ``radius`` and ``height`` are in map units. What can be picked up blocks nothing.
    """

    name: str
    sprite: str
    frames: str
    scale: float
    radius: int
    height: int
    pickup: bool

    @property
    def actor(self) -> str:
        """The name of its class in the game."""
        return "Quest" + self.name.title().replace(" ", "")


# Chosen to differ in colour and outline at 256 × 192 pixels; small things are drawn larger.
KINDS = (
    Kind("armor", "ARM1", "A", 1.8, 20, 16, True),
    Kind("medkit", "MEDI", "A", 2.0, 20, 16, True),
    Kind("backpack", "BPAK", "A", 2.0, 20, 16, True),
    Kind("orb", "SOUL", "ABCD", 2.0, 20, 16, True),
    Kind("blue torch", "TBLU", "ABCD", 1.2, 16, 68, False),
    Kind("red torch", "TRED", "ABCD", 1.2, 16, 68, False),
    Kind("green pillar", "COL1", "A", 1.4, 20, 52, False),
    Kind("red pillar", "COL3", "A", 1.4, 20, 52, False),
    Kind("barrel", "BAR1", "AB", 1.8, 16, 42, False),
    Kind("tree", "TRE2", "A", 1.0, 24, 96, False),
    Kind("lamp", "TLMP", "ABCD", 1.2, 16, 80, False),
)
BY_NAME = {kind.name: kind for kind in KINDS}
PLAYER = "QuestPlayer"
FIRST = 30_001  # the number of the first kind on a map; the game's own objects stay below
SHOWN = 4  # seconds that the name of what was picked up stays in the picture


class Goal(NamedTuple):
    """What to do, and with which object; ``text`` says it."""

    kind: Kind
    pickup: bool

    @property
    def text(self) -> str:
        """The goal as a person would say it."""
        return (PICK if self.pickup else GO) + self.kind.name


def goal_of(text: str) -> Goal:
    """The goal that a text states.

    Raises:
        ValueError: it has another form, names no known object, or one that cannot be picked up.
    """
    begin = next((begin for begin in (GO, PICK) if text.startswith(begin)), None)
    if begin is None:
        raise ValueError(f"{text!r} is no goal; write {GO!r} or {PICK!r} and an object")
    kind = BY_NAME.get(text.removeprefix(begin))
    if kind is None:
        raise ValueError(f"{text!r} names no known object; known are {', '.join(BY_NAME)}")
    if begin == PICK and not kind.pickup:
        raise ValueError(f"{text!r}: a {kind.name} cannot be picked up; write {GO + kind.name!r}")
    return Goal(kind, begin == PICK)


def number_of(kind: Kind) -> int:
    """The number by which a map names a kind."""
    return FIRST + KINDS.index(kind)


def definitions(pace: float) -> str:
    """The kinds and the player as classes of the game, in its DECORATE language; ``pace`` 1 is the game's own.

    What is picked up leaves its name in the picture for a while: without it no picture would tell that it is done.
    """
    moves = f"Player.ForwardMove {pace}, {pace} Player.SideMove {pace}, {pace}"
    player = f"ACTOR {PLAYER} : DoomPlayer {{ {moves} }}\n"
    return player + "\n".join(_pickup(kind) if kind.pickup else _landmark(kind) for kind in KINDS)


def _pickup(kind: Kind) -> str:
    # Empty lines below lift the word above the horizon, where it hides nothing.
    word = kind.name.title() + "\\n" * 4
    return (
        f"ACTOR {kind.actor} : CustomInventory {number_of(kind)} {{ {_body(kind)}\n"
        f'+INVENTORY.ALWAYSPICKUP Inventory.PickupMessage ""\n'
        f"States {{\nSpawn:\n{_frames(kind)}"
        f'Pickup:\nTNT1 A 0 A_Print("{word}", {SHOWN}.0, "BIGFONT")\nStop\n}} }}\n'
    )


def _landmark(kind: Kind) -> str:
    return f"ACTOR {kind.actor} {number_of(kind)} {{ {_body(kind)} +SOLID\nStates {{\nSpawn:\n{_frames(kind)}}} }}\n"


def _body(kind: Kind) -> str:
    return f"Radius {kind.radius} Height {kind.height} Scale {kind.scale}"


def _frames(kind: Kind) -> str:
    return f"{kind.sprite} {kind.frames} 6 Bright\nLoop\n"  # bright: seen from afar in rooms without much light
