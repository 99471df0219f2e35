"""The model of a package, answering instructions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from scripts.lib.chat import prompt_text
from scripts.lib.cli import UserError, say
from scripts.lib.records import Record, text_message
from scripts.lib.tokenizer import TemplateTokenizer
from scripts.model.llama import Completion, Server
from scripts.tools.answers import parse
from scripts.tools.schema import Tool
from scripts.tools.server.grammar import grammar
from scripts.tools.server.package import Package
from scripts.tools.server.results import Call, Reply
from scripts.tools.validate import call_problems, canonical_call


class Engines:
    """llama.cpp's servers by model, so that specialists with one base share it; each adapter has a slot of its own."""

    def __init__(self) -> None:
        self._servers: dict[Path, Server] = {}
        self._starting = Lock()

    def server(self, package: Package) -> Server:
        """The package's server, started where it is not running.

        Raises:
            UserError: llama.cpp cannot load a file.
        """
        with self._starting:
            if package.gguf not in self._servers:
                say(f"{package.name}: loading {package.gguf}")
                slots = max(1, len(package.adapters))
                server = Server(package.gguf, slots=slots, context=package.context, adapters=package.adapters)
                self._servers[package.gguf] = server.__enter__()
            return self._servers[package.gguf]

    def close(self) -> None:
        """Ends llama.cpp's threads."""
        while self._servers:
            self._servers.popitem()[1].__exit__()


class Specialist:
    """A package that answers, one instruction at a time; the caller keeps threads apart.

    The model is loaded by `load`, else at the first instruction.

    Args:
        package: what was read of it.
        engines: shared with other specialists; none given: its own.
    """

    def __init__(self, package: Package, engines: Engines | None = None) -> None:
        self.package, self.name = package, package.name
        self._engines = engines or Engines()
        config = package.config
        special = {"bos_token": config.bos_token, "eos_token": config.eos_token}
        try:
            self._tokenizer = TemplateTokenizer(
                config.chat_template, {key: text for key, text in special.items() if text is not None}
            )
        except UserError as error:
            raise UserError(f"{package.source}: {error}") from error
        self._grammar = grammar(package.tools)

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
        server = self.load()
        if self.package.adapter is not None:
            settings |= {"lora": server.only(self.package.adapter), "id_slot": self.package.adapter}
        return server.complete(self.prompt(instruction), self.package.config.max_new_tokens, **settings)

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
        return self._engines.server(self.package)

    def close(self) -> None:
        """Ends llama.cpp's threads, of all that share them."""
        self._engines.close()


def judge(name: str, said: Completion, tools: Mapping[str, Tool]) -> Reply:
    """The answer of specialist ``name`` in what its model said: every call is valid, or none is given."""
    answer = parse(said.text)
    calls = [canonical_call(call, tools) for call in answer.calls]
    # As they were written, and as they leave: the canonical way of writing may be one that an enum does not have.
    wrong = [problem for call in (*answer.calls, *calls) for _, problem in call_problems(call, tools)]
    cut = said.finish == "length"
    if answer.declines:
        words = answer.text or "The model said nothing."
        return Reply(specialist=name, declined=True, reason=f"{words} ..." if cut else words)
    if cut:
        reason = f"The answer was cut off after {said.tokens} tokens; ask for less at a time."
    elif answer.broken:
        reason = "The model wrote a call that is no JSON of a call; say it in other words."
    elif wrong:
        reason = f"The model's call does not keep the schema: {' '.join(dict.fromkeys(wrong))}"
    else:
        return Reply(specialist=name, declined=False, reason=answer.text, calls=[_as_call(*call) for call in calls])
    return Reply(specialist=name, declined=True, reason=reason)


def _as_call(name: str, arguments: dict[str, Any]) -> Call:
    return Call(name=name, arguments=arguments)
