"""Keys by which examples are compared: the whole content, the assistant's part, and the instruction without values.

Instructions are compared with their values masked (``Read # bytes at #``), because the same request with another
address teaches nothing new.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import orjson

from scripts.lib.files import canonical_json
from scripts.lib.leakage import words
from scripts.tools.examples import Example

# For lower-case text. The lookahead for a first character makes the search twice as fast.
VALUE = re.compile(r"(?=[0-9a-f$])(?:\b(?:0x[0-9a-f]+|\d[\w:.]*|[0-9a-f]{2}(?: [0-9a-f]{2})+\b)|\$[0-9a-f:]+)")
MASKED = re.compile(r"[\w#]+")
BLANKED = {code: " " for code in range(128) if not MASKED.match(chr(code))}


def mask(text: str) -> str:
    """The words of an instruction in lower case, with ``#`` for every value."""
    low = VALUE.sub(" # ", text.lower())
    return " ".join(low.translate(BLANKED).split() if low.isascii() else MASKED.findall(low))


def content_of(example: Example) -> bytes:
    """A key of the whole example: all messages and calls, in order."""
    return _key([[step.role, step.text and words(step.text), step.calls] for step in example.steps])


def calls_of(example: Example) -> bytes:
    """A key of the assistant's part: its calls and texts, in order."""
    return _key([step.calls or words(step.text) for step in example.steps if step.role == "assistant"])


def _key(value: Any) -> bytes:
    """16 bytes, equal for equal JSON values; for comparisons within a build, while files contain `digest`."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # an integer above 64 bits
        text = canonical_json(value).encode()
    return hashlib.blake2b(text, digest_size=16).digest()
