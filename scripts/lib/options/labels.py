"""The slice of the labelling stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from scripts.lib.options.strict import Options

PROMPT = (
    "These are {count} frames of four seconds of play, in their order. Towards what does the player go? "
    "Answer with a goal of three to five words, such as: Go to the lantern"
)


class LabelOptions(Options):
    """Who names the goal of a segment, and how."""

    by: Literal["state", "vlm", "openai", "file"] = "state"
    """state: the game's own record; vlm: a model on this machine; openai: an endpoint that speaks OpenAI's protocol;
    file: a table that a person fills in"""
    frames: int = Field(default=4, ge=1, le=16)
    """frames of a segment that are shown, spread evenly"""
    prompt: str = PROMPT
    """what is asked; {count} stands for the number of frames"""
    model: str = ""
    """vlm: a GGUF file, with mmproj.gguf beside it; openai: the name that the endpoint knows"""
    url: str = ""
    """openai: such as http://127.0.0.1:8000/v1"""
    key_variable: str = "OPENAI_API_KEY"
    """openai: the environment variable that holds the key; it may be unset where none is asked for"""
    file: str = ""
    """file: a CSV with the columns recording, segment and goal"""
    max_tokens: int = Field(default=24, ge=4)
    """tokens of a goal at most"""
    timeout: float = Field(default=120.0, gt=0)
    """openai: seconds that an answer may take"""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> LabelOptions:
        needs = {"state": (), "vlm": ("model",), "openai": ("model", "url"), "file": ("file",)}[self.by]
        missing = [name for name in needs if not getattr(self, name)]
        if missing:
            raise ValueError(f"by: {self.by} needs {' and '.join(missing)}")
        if "{count}" in self.prompt.replace("{count}", "", 1):
            raise ValueError("prompt names {count} more than once")
        return self
