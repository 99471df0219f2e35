"""The MCP server of specialists and router: its tools, and the handlers of their calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from mcp import MCPError, types
from mcp.server.lowlevel import Server
from pydantic import BaseModel, ValidationError

from scripts.lib.cli import UserError, say
from scripts.tools.server.execute import Command, run_calls
from scripts.tools.server.package import ROUTE
from scripts.tools.server.results import Reply, Request, Routed
from scripts.tools.server.router import Router
from scripts.tools.server.specialist import Specialist

NAME = "questline-tools"
MIN_KNOWN = 0.25  # below this fraction of known words no specialist was trained on anything similar


class Service:
    """Specialists, each behind a lock, the router, and the commands that may be executed.

    Args:
        specialists: one or more, with different names.
        allowed: commands by tool; None if no call is ever executed.
    """

    def __init__(self, specialists: Sequence[Specialist], allowed: Mapping[str, Command] | None = None) -> None:
        self.specialists = {specialist.name: specialist for specialist in specialists}
        self.allowed = allowed
        self.router = Router({specialist.name: specialist.package.phrases for specialist in specialists})
        # llama.cpp blocks, so each answer is computed in a thread. A limiter of one is the specialist's lock; a request
        # that waits for it occupies no thread.
        self._locks = {name: anyio.CapacityLimiter(1) for name in self.specialists}

    async def ask(self, name: str, instruction: str) -> Reply:
        """A specialist's answer; its calls are executed if that is allowed.

        Raises:
            UserError: the model cannot be loaded, or the instruction is too long for it.
        """

        def answer() -> Reply:
            reply = self.specialists[name].answer(instruction)
            if self.allowed is not None:
                reply.results = run_calls(reply.calls, self.allowed)
            return reply

        return await anyio.to_thread.run_sync(answer, limiter=self._locks[name])

    async def route(self, instruction: str) -> Routed:
        """The likeliest specialist and its answer; if the instruction is unlike all training data, a decline.

        Raises:
            UserError: as `ask`.
        """
        choice = self.router.choose(instruction)
        if choice.known < MIN_KNOWN:
            names = ", ".join(self.specialists)
            reason = f"No specialist was trained on anything like this; to ask one all the same, call it: {names}."
            answer = Reply(specialist=choice.name, declined=True, reason=reason)
        else:
            answer = await self.ask(choice.name, instruction)
        return Routed(specialist=choice.name, confidence=choice.confidence, scores=choice.shares, answer=answer)

    def load(self) -> None:
        """Loads all models.

        Raises:
            UserError: llama.cpp cannot load a model.
        """
        for specialist in self.specialists.values():
            specialist.load()

    def close(self) -> None:
        """Stops llama.cpp's servers."""
        for specialist in self.specialists.values():
            specialist.close()


def make_server(service: Service) -> Server[Any]:
    """An MCP server with a tool for each specialist, and a tool for the router."""
    tools = []
    for name, specialist in service.specialists.items():
        package = specialist.package
        called = ", ".join(package.config.focus or package.tools)
        description = f"{package.config.description.strip()} Answers with calls of: {called}."
        tools.append(_tool(name, description, Reply, service))
    description = f"Picks the specialist for an instruction ({', '.join(service.specialists)}) and gives its answer."
    tools.append(_tool(ROUTE, description, Routed, service))
    handlers = {name: partial(service.ask, name) for name in service.specialists} | {ROUTE: service.route}

    async def on_list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools)

    async def on_call_tool(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        handler = handlers.get(params.name)
        if handler is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name[:100]}; known: {', '.join(handlers)}")
        try:
            request = Request.model_validate(params.arguments or {})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part)[:100] for part in first["loc"]) or "arguments"
            raise MCPError(types.INVALID_PARAMS, f"{where}: {first['msg']}") from error
        try:
            value = await handler(request.instruction)
        except (UserError, OSError) as error:
            say(f"{params.name}: {error}")
            return types.CallToolResult(content=[types.TextContent(type="text", text=str(error))], is_error=True)
        text = types.TextContent(type="text", text=value.model_dump_json(indent=2))
        return types.CallToolResult(content=[text], structured_content=value.model_dump())

    return Server(NAME, on_list_tools=on_list_tools, on_call_tool=on_call_tool)


def _tool(name: str, description: str, output: type[BaseModel], service: Service) -> types.Tool:
    if service.allowed is not None:
        description = f"{description} Calls of {', '.join(service.allowed)} are executed."
    return types.Tool(
        name=name,
        description=description,
        input_schema=Request.model_json_schema(),
        output_schema=output.model_json_schema(),
        annotations=types.ToolAnnotations(read_only_hint=service.allowed is None, open_world_hint=False),
    )
