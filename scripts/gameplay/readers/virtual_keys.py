"""The names of Windows' virtual key codes, for the keys of games and their neighbours."""

from __future__ import annotations

NAMES = {
    0x08: "backspace",
    0x09: "tab",
    0x0D: "enter",
    0x10: "shift",
    0x11: "ctrl",
    0x12: "alt",
    0x14: "caps lock",
    0x1B: "escape",
    0x20: "space",
    0x25: "left",
    0x26: "up",
    0x27: "right",
    0x28: "down",
    0x2E: "delete",
    0x5B: "left windows",
    0xA0: "left shift",
    0xA1: "right shift",
    0xA2: "left ctrl",
    0xA3: "right ctrl",
    0xA4: "left alt",
    0xA5: "right alt",
}


def name_of(code: int) -> str:
    """``w`` for 87, ``left`` for 37; ``key 179`` for a code that is not listed here."""
    if 0x30 <= code <= 0x39 or 0x41 <= code <= 0x5A:  # digits and letters are their ASCII codes
        return chr(code).lower()
    return NAMES.get(code, f"key {code}")
