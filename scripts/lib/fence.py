"""Code fences, in which models like to put what they were asked for."""

from __future__ import annotations

import re

FENCED = re.compile(r"```\w*\n(.*?)\n?```", re.DOTALL)


def unfenced(text: str) -> str:
    """The content of a Markdown code fence that is the whole text, or the text; without blanks around it."""
    match = FENCED.fullmatch(text.strip())
    return (match[1] if match else text).strip()
