"""Base models whose licence allows sharing their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.lib.cli import UserError
from scripts.lib.files import read_json
from scripts.sharing.rooms import BASES, CARD, Stage

# Licences that let anybody pass the weights on (SPDX identifiers, in lower case).
FREE = {
    "0bsd", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0", "isc", "mit",
    "unlicense",
}  # fmt: skip


def withheld_bases(stages: dict[str, Stage], allowed: list[str]) -> dict[str, str]:
    """Bases whose weights are left out, room to reason; also adds them to their stage's `withheld`.

    Args:
        allowed: names of bases to share whatever their licence.

    Raises:
        UserError: the configuration has no base of an allowed name.
    """
    stage = stages.get(BASES)
    rooms = stage.rooms if stage else []
    unknown = sorted(set(allowed) - {Path(room).name for room in rooms})
    if unknown:
        raise UserError(f"{unknown[0]}: no base of this configuration; it has {', '.join(rooms)}.")
    withheld = {}
    for room in rooms:
        card: Any = read_json(Path(room) / CARD) if (Path(room) / CARD).is_file() else {}
        licence = str(card.get("licence", ""))
        if card and licence.lower() not in FREE and Path(room).name not in allowed:
            withheld[room] = (
                f"its licence ({licence or 'none named'}) is not known to let you pass the weights on; if you may, "
                f"add --with-base {Path(room).name}. GGUF files and packages made from it hold its weights, too."
            )
    if stage:
        stage.withheld |= set(withheld)
    return withheld
