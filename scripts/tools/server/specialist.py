"""Answers instructions with the model of a package."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
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
    """llama.cpp's servers by model file: specialists on one base share a server, with a slot for each adapter."""

    def __init__(self) -> None:
        self._servers: dict[Path, Server] = {}
        self._running = ExitStack()
        self._starting = Lock()

    def server(self, package: Package) -> Server:
        """The package's server, started if it is not running.

        Raises:
            UserError: llama.cpp cannot load a file.
        """
        with self._starting:
            if package.gguf not in self._servers:
                say(f"{package.name}: loading {package.gguf}")
                slots = max(1, len(package.adapters))
                server = Server(package.gguf, slots=slots, context=package.context, adapters=package.adapters)
                self._servers[package.gguf] = self._running.enter_context(server)
            return self._servers[package.gguf]

    def close(self) -> None:
        """Stops all servers."""
        self._servers.clear()
        self._running.close()


class Specialist:
    """A specialist that answers one instruction at a time; the caller must not call it from two threads at once.

    The model is loaded by `load`, or at the first instruction.

    Args:
        package: its package.
        engines: servers shared with other specialists; by default its own.

    Raises:
        UserError: the chat template is invalid.
    """

    def __init__(self, package: Package, engines: Engines | None = None) -> None:
        self.package, self.name = package, package.name
        self._engines = engines or Engines()
        config = package.config
        special = {"bos_token": config.bos_token, "eos_token": config.eos_token}
        special = {key: text for key, text in special.items() if text is not None}
        try:
            self._tokenizer = TemplateTokenizer(config.chat_template, special)
        except UserError as error:
            raise UserError(f"{package.source}: {error}") from error
        self._grammar = grammar(package.tools)

    def prompt(self, instruction: str) -> str:
        """The rendered prompt, the same bytes as in training.

        Raises:
            UserError: the template rejects it.
        """
        config = self.package.config
        # As in curation: without a system prompt there is no system turn, because a template may have a default one.
        system = [text_message("system", config.system_prompt)] if config.system_prompt else []
        messages = [*system, text_message("user", instruction)]
        record = Record(id=self.name, group=self.name, messages=messages, tools=config.tools)
        return prompt_text(self._tokenizer, record, len(messages))

    def complete(self, instruction: str, **sampling: Any) -> Completion:
        """The model's output under the grammar; greedy unless sampling parameters are given.

        Raises:
            UserError: the model cannot be loaded, or the prompt does not fit into its context.
        """
        # All prompts share the system turn and the tools, so that their KV cache is reused.
        settings = {"grammar": self._grammar, "reuse": True, **sampling}
        server = self.load()
        if self.package.adapter is not None:
            settings |= {"lora": server.only(self.package.adapter), "id_slot": self.package.adapter}
        return server.complete(self.prompt(instruction), self.package.config.max_new_tokens, **settings)

    def answer(self, instruction: str) -> Reply:
        """Valid calls, or a decline with its reason.

        Raises:
            UserError: as `complete`.
        """
        return judge(self.name, self.complete(instruction), self.package.tools)

    def load(self) -> Server:
        """llama.cpp's server for the model, started if it is not running.

        Raises:
            UserError: llama.cpp cannot load the file.
        """
        return self._engines.server(self.package)

    def close(self) -> None:
        """Stops the servers, also for the specialists that share them."""
        self._engines.close()


def judge(name: str, said: Completion, tools: Mapping[str, Tool]) -> Reply:
    """The reply of specialist ``name`` from its model's output: all calls if each is valid, else a decline."""
    answer = parse(said.text)
    calls = [canonical_call(call, tools) for call in answer.calls]
    # Both forms are checked: the canonical form of a value may not be in its enum.
    problems = [problem for call in (*answer.calls, *calls) for _, problem in call_problems(call, tools)]
    cut = said.finish == "length"
    if answer.declines:
        text = answer.text or "The model said nothing."
        reason = f"{text} ..." if cut else text
    elif cut:
        reason = f"The answer was cut off after {said.tokens} tokens; ask for less at a time."
    elif answer.broken:
        reason = "The model wrote a call that is no JSON of a call; say it in other words."
    elif problems:
        reason = f"The model's call does not keep the schema: {' '.join(dict.fromkeys(problems))}"
    else:
        named = [Call(name=tool, arguments=arguments) for tool, arguments in calls]
        return Reply(specialist=name, declined=False, reason=answer.text, calls=named)
    return Reply(specialist=name, declined=True, reason=reason)
