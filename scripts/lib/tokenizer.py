"""Chat templates and tokenizers without transformers, whose import takes longer than many stages.

The settings of the Jinja environment are those of transformers, and token ids come from the same tokenizer.json and the
same library, so that prompts and ids are equal in training and serving. Tests and every certificate compare them.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from scripts.lib.chat import FALLBACK_TEMPLATE
from scripts.lib.cli import UserError
from scripts.lib.files import read_json


class TemplateTokenizer:
    """A tokenizer that only renders; sufficient for `scripts.lib.chat`.

    Args:
        template: the chat template in Jinja; it runs in a sandbox.
        special: bos_token and eos_token, if the model has them.

    Raises:
        UserError: the template is not valid Jinja.
    """

    def __init__(self, template: str, special: dict[str, str]) -> None:
        self.chat_template, self._special = template, special
        try:
            self._compiled = _environment().from_string(template)
        except jinja2.TemplateError as error:
            raise UserError(f"the chat template cannot be read ({error}); build the package again.") from error

    def apply_chat_template(
        self,
        rows: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        tokenize: bool = False,
        add_generation_prompt: bool = False,
    ) -> str:
        """Renders messages to text.

        Raises:
            UserError: the template rejects them.
        """
        if tokenize:
            raise NotImplementedError("render to text, then encode it")
        variables = {"messages": rows, "tools": tools, "documents": None}
        try:
            return self._compiled.render(**self._special, **variables, add_generation_prompt=add_generation_prompt)
        except jinja2.TemplateError as error:
            raise UserError(
                f"the chat template refuses this conversation ({error}); build the package again."
            ) from error


class Tokenizer(TemplateTokenizer):
    """The tokenizer of a model's folder: the part of transformers' tokenizers that rendering needs.

    Args:
        folder: with tokenizer.json, tokenizer_config.json and, if the model has one, chat_template.jinja.

    Raises:
        UserError: the folder has no tokenizer, or it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        import tokenizers

        path = folder / "tokenizer.json"
        if not path.is_file():
            raise UserError(f"{folder}: no tokenizer here; build the base model first, or check the path.")
        try:
            self.backend = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the tokenizers library raises a bare Exception
            reason = str(error).split("\n")[0]
            raise UserError(f"{path}: cannot be read ({reason}); build the base model again.") from error
        config = read_json(folder / "tokenizer_config.json")
        self.backend.no_truncation()
        self.backend.no_padding()
        special = {}
        for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
            value = config.get(name)
            text = value.get("content") if isinstance(value, dict) else value  # older configurations use a mapping
            if text:
                special[name] = text
        path = folder / "chat_template.jinja"
        template = path.read_text(encoding="utf-8") if path.is_file() else config.get("chat_template")
        super().__init__(template or FALLBACK_TEMPLATE, special)
        self.bos_token, self.eos_token = special.get("bos_token"), special.get("eos_token")

    def __call__(
        self, text: str, *, add_special_tokens: bool = False, return_offsets_mapping: bool = False
    ) -> dict[str, list]:
        """``input_ids`` [n] of a text and, if asked, ``offset_mapping`` [n] of (start, end) characters."""
        encoded = self.backend.encode(text, add_special_tokens=add_special_tokens)
        result: dict[str, list] = {"input_ids": encoded.ids}
        return result | ({"offset_mapping": encoded.offsets} if return_offsets_mapping else {})


class _Generation(Extension):
    """``{% generation %}``, which marks answers for a loss mask; its content is rendered unchanged."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> ImmutableSandboxedEnvironment:
    """The environment of transformers/utils/chat_template_utils.py."""

    def tojson(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **options)  # Jinja's own filter escapes it for HTML

    def raise_exception(message: str) -> NoReturn:
        raise jinja2.TemplateError(message)

    result = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    result.filters["tojson"] = tojson
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return result
