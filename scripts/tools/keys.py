"""What an example is compared by: all that it teaches, all that the assistant does, and its instruction without values.

Two instructions are compared with their values masked (``Read # bytes at #``): the same request with another address
is the same lesson.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import orjson

from scripts.lib.files import canonical_json
from scripts.lib.leakage import words
from scripts.tools.examples import Example

# In lower case. That a value begins with one of these characters makes the search twice as quick.
VALUE = re.compile(r"(?=[0-9a-f$])(?:\b(?:0x[0-9a-f]+|\d[\w:.]*|[0-9a-f]{2}(?: [0-9a-f]{2})+\b)|\$[0-9a-f:]+)")
MASKED = re.compile(r"[\w#]+")
BLANKED = {code: " " for code in range(128) if not MASKED.match(chr(code))}


def mask(text: str) -> str:
    """The words of an instruction in lower case, a ``#`` for every value."""
    low = VALUE.sub(" # ", text.lower())
    return " ".join(low.translate(BLANKED).split() if low.isascii() else MASKED.findall(low))


def content_of(example: Example) -> bytes:
    """What an example teaches, as one key: everything said and called, in order."""
    return _key([[step.role, step.text and words(step.text), step.calls] for step in example.steps])


def calls_of(example: Example) -> bytes:
    """All that the assistant does, as one key."""
    return _key([step.calls or words(step.text) for step in example.steps if step.role == "assistant"])


def _key(value: Any) -> bytes:
    """The same for equal JSON values only; within a build, `digest` is for what is written."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # a whole number of more than 64 bits
        text = canonical_json(value).encode()
    return hashlib.blake2b(text, digest_size=16).digest()
