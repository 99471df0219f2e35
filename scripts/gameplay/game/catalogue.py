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
    """An object, and whether to pick it up or to go to it."""

    kind: Kind
    pickup: bool


def goal_of(text: str) -> Goal:
    """The goal of a text.

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
    """The player and the kinds as classes of the game, in its DECORATE language; ``pace`` 1 is the game's own.

    An object that is picked up leaves its name in the picture for a while: otherwise no picture would show that the
    goal is reached.
    """
    moves = f"Player.ForwardMove {pace}, {pace} Player.SideMove {pace}, {pace}"
    classes = [f"ACTOR {PLAYER} : DoomPlayer {{ {moves} }}"]
    for kind in KINDS:
        body = f"Radius {kind.radius} Height {kind.height} Scale {kind.scale}"
        frames = f"{kind.sprite} {kind.frames} 6 Bright\nLoop\n"  # bright: seen from afar in rooms without much light
        if kind.pickup:
            word = kind.name.title() + "\\n" * 4  # empty lines lift the word above the horizon, where it hides nothing
            classes.append(
                f"ACTOR {kind.actor} : CustomInventory {number_of(kind)} {{ {body}\n"
                f'+INVENTORY.ALWAYSPICKUP Inventory.PickupMessage ""\n'
                f"States {{\nSpawn:\n{frames}"
                f'Pickup:\nTNT1 A 0 A_Print("{word}", {SHOWN}.0, "BIGFONT")\nStop\n}} }}\n'
            )
        else:
            states = f"States {{\nSpawn:\n{frames}}}"
            classes.append(f"ACTOR {kind.actor} {number_of(kind)} {{ {body} +SOLID\n{states} }}\n")
    return "\n".join(classes)
