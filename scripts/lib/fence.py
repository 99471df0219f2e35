"""Markdown code fences, which models often write around an answer."""

from __future__ import annotations

import re

FENCED = re.compile(r"```\w*\n(.*?)\n?```", re.DOTALL)


def unfenced(text: str) -> str:
    """The content of a code fence that is the whole text, else the text; stripped."""
    match = FENCED.fullmatch(text.strip())
    return (match[1] if match else text).strip()
