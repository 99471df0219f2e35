"""The model of a package, answering instructions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.lib.chat import prompt_text
from scripts.lib.cli import UserError, say
from scripts.lib.records import Record, text_message
from scripts.lib.tokenizer import TemplateTokenizer
from scripts.model.llama import Completion, Server
from scripts.tools.answers import parse
from scripts.tools.schema import Tool
from scripts.tools.server.grammar import grammar
from scripts.tools.server.package import SPECIALIST, Package
from scripts.tools.server.results import Call, Reply
from scripts.tools.validate import call_problems, canonical_call


class Specialist:
    """A package that answers, one instruction at a time; the caller keeps threads apart.

    The model is loaded by `load`, else at the first instruction.
    """

    def __init__(self, package: Package) -> None:
        self.package, self.name = package, package.name
        config = package.config
        special = {"bos_token": config.bos_token, "eos_token": config.eos_token}
        try:
            self._tokenizer = TemplateTokenizer(
                config.chat_template, {key: text for key, text in special.items() if text is not None}
            )
        except UserError as error:
            raise UserError(f"{package.folder / SPECIALIST}: {error}") from error
        self._grammar = grammar(package.tools)
        self._server: Server | None = None

    def prompt(self, instruction: str) -> str:
        """The rendered prompt, the same bytes as in training.

        Raises:
            UserError: the template refuses it.
        """
        config = self.package.config
        # As curation does it: no system turn where there is no prompt, for which a template may have words of its own.
        system = [text_message("system", config.system_prompt)] if config.system_prompt else []
        messages = [*system, text_message("user", instruction)]
        record = Record(id=self.name, group=self.name, messages=messages, tools=config.tools)
        return prompt_text(self._tokenizer, record, len(messages))

    def complete(self, instruction: str, **sampling: Any) -> Completion:
        """What the model says under the grammar; greedy where no sampling is given.

        Raises:
            UserError: the model cannot be loaded, or the prompt does not fit into its context.
        """
        # Every prompt begins with the same system turn and tools, which are read once.
        settings = {"grammar": self._grammar, "reuse": True, **sampling}
        return self.load().complete(self.prompt(instruction), self.package.config.max_new_tokens, **settings)

    def answer(self, instruction: str) -> Reply:
        """Validated calls, or a decline with its reason.

        Raises:
            UserError: as `complete`.
        """
        return judge(self.name, self.complete(instruction), self.package.tools)

    def load(self) -> Server:
        """llama.cpp's server for the model, started where it is not running.

        Raises:
            UserError: llama.cpp cannot load the file.
        """
        if self._server is None:
            say(f"{self.name}: loading {self.package.gguf}")
            self._server = Server(self.package.gguf, slots=1, context=self.package.context).__enter__()
        return self._server

    def close(self) -> None:
        """Ends llama.cpp's threads."""
        if self._server is not None:
            self._server.__exit__()
            self._server = None


def judge(name: str, said: Completion, tools: Mapping[str, Tool]) -> Reply:
    """The answer of specialist ``name`` in what its model said: every call is valid, or none is given."""
    answer = parse(said.text)
    wrong = [sentence for call in answer.calls for _, sentence in call_problems(call, tools)]
    cut = said.finish == "length"
    if answer.declines:
        words = answer.text or "The model said nothing."
        return Reply(specialist=name, declined=True, reason=f"{words} ..." if cut else words)
    if cut:
        reason = f"The answer was cut off after {said.tokens} tokens; ask for less at a time."
    elif answer.broken:
        reason = "The model wrote a call that is no JSON of a call; say it in other words."
    elif wrong:
        reason = f"The model's call does not keep the schema: {' '.join(wrong)}"
    else:
        calls = [canonical_call(call, tools) for call in answer.calls]
        return Reply(specialist=name, declined=False, reason=answer.text, calls=[_as_call(*call) for call in calls])
    return Reply(specialist=name, declined=True, reason=reason)


def _as_call(name: str, arguments: dict[str, Any]) -> Call:
    return Call(name=name, arguments=arguments)
