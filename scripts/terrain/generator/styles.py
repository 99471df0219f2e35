"""The looks of a minimap: colours, light and grain. Colours are red, green, blue, 0 to 255."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Style:
    """One look.

    Attributes:
        ground: for each material its colour at sea level and at 350 yards.
        water: shallow, deep, and the sea's deep colour.
        sun_right: the sun stands in the north-east, else in the north-west.
        sun_height: tangent of its height over the horizon.
        ambient: share of the light that comes from everywhere.
        shadow: how much of the sun a cast shadow takes.
        hollows: how much darker valleys are, a yard below their surroundings.
        grain: (wavelength in pixels, strength) of the ground's texture.
        crowns: colours of pine, oak and bush.
        roofs: colours of roofs.
    """

    ground: dict[str, tuple[Colour, Colour]]
    water: tuple[Colour, Colour, Colour]
    sun_right: bool
    sun_height: float
    ambient: float
    shadow: float
    hollows: float
    grain: tuple[tuple[float, float], ...]
    crowns: dict[str, Colour]
    roofs: tuple[Colour, ...]


PAINTED = Style(
    ground={
        "grass": ((74, 106, 44), (128, 134, 72)),
        "drygrass": ((142, 130, 66), (170, 158, 104)),
        "heath": ((104, 104, 62), (138, 130, 92)),
        "leaves": ((70, 74, 38), (92, 88, 54)),
        "scree": ((112, 102, 84), (142, 136, 124)),
        "rock": ((92, 84, 74), (124, 119, 114)),
        "snow": ((178, 186, 200), (206, 212, 224)),
        "sand": ((198, 180, 132), (186, 176, 144)),
        "gravel": ((120, 110, 88), (128, 124, 112)),
        "cobble": ((126, 116, 104), (134, 126, 118)),
        "dirt": ((128, 94, 62), (140, 112, 84)),
    },
    water=((86, 132, 128), (26, 60, 88), (18, 44, 78)),
    sun_right=False,
    sun_height=0.9,
    ambient=0.42,
    shadow=0.75,
    hollows=0.006,
    grain=((11.0, 0.05), (4.0, 0.06), (1.7, 0.05)),
    crowns={"pine": (38, 64, 38), "oak": (58, 86, 32), "bush": (86, 92, 42)},
    roofs=((134, 62, 44), (112, 78, 52), (96, 92, 96)),
)

ATLAS = Style(
    ground={
        "grass": ((112, 140, 82), (166, 166, 110)),
        "drygrass": ((182, 160, 96), (200, 182, 132)),
        "heath": ((150, 128, 110), (176, 154, 138)),
        "leaves": ((92, 108, 70), (120, 122, 88)),
        "scree": ((156, 142, 126), (180, 170, 160)),
        "rock": ((128, 116, 112), (158, 148, 148)),
        "snow": ((196, 200, 202), (220, 222, 222)),
        "sand": ((222, 204, 158), (214, 202, 170)),
        "gravel": ((164, 154, 136), (168, 162, 152)),
        "cobble": ((168, 152, 144), (172, 160, 154)),
        "dirt": ((190, 162, 122), (196, 174, 142)),
    },
    water=((128, 178, 186), (58, 108, 150), (44, 92, 142)),
    sun_right=True,
    sun_height=1.15,
    ambient=0.55,
    shadow=0.5,
    hollows=0.004,
    grain=((24.0, 0.06), (2.2, 0.035)),
    crowns={"pine": (62, 96, 78), "oak": (88, 116, 62), "bush": (124, 128, 74)},
    roofs=((178, 96, 74), (150, 84, 96), (120, 120, 132)),
)

STYLES = {"painted": PAINTED, "atlas": ATLAS}
