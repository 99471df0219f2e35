"""Specialists and router as an MCP server: which tools there are, and what a call of one does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from mcp import MCPError
from mcp.server.lowlevel import Server
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    TextContent,
    Tool,
    ToolAnnotations,
)
from pydantic import BaseModel, ValidationError

from scripts.lib.cli import UserError, say
from scripts.tools.server.execute import Command, run_calls
from scripts.tools.server.package import ROUTE
from scripts.tools.server.results import Reply, Request, Routed
from scripts.tools.server.router import Router
from scripts.tools.server.specialist import Specialist

NAME = "questline-tools"
STRANGE = 0.25  # below this share of known words no specialist was trained on anything like it


class Service:
    """Specialists behind locks, the router in front of them, and what may be executed.

    Args:
        specialists: one or more, with different names.
        allowed: commands by tool; None where nothing is ever executed.
    """

    def __init__(self, specialists: Sequence[Specialist], allowed: Mapping[str, Command] | None = None) -> None:
        self.specialists = {one.name: one for one in specialists}
        self.allowed = allowed
        self.router = Router({one.name: one.package.phrases for one in specialists})
        # llama.cpp blocks, so it works in a thread; a limiter of one is the specialist's lock, and whoever waits for
        # it holds no thread.
        self._locks = {name: anyio.CapacityLimiter(1) for name in self.specialists}

    async def ask(self, name: str, instruction: str) -> Reply:
        """A specialist's answer, its calls executed where that is allowed.

        Raises:
            UserError: the model cannot be loaded, or the instruction is too long for it.
        """
        return await anyio.to_thread.run_sync(self._ask, name, instruction, limiter=self._locks[name])

    def _ask(self, name: str, instruction: str) -> Reply:
        reply = self.specialists[name].answer(instruction)
        if self.allowed is not None:
            reply.results = run_calls(reply.calls, self.allowed)
        return reply

    async def route(self, instruction: str) -> Routed:
        """The likeliest specialist and its answer; where nothing matches, a decline without asking a model.

        Raises:
            UserError: as `ask`.
        """
        choice = self.router.choose(instruction)
        if choice.known < STRANGE:
            names = ", ".join(self.specialists)
            reason = f"No specialist was trained on anything like this; to ask one all the same, call it: {names}."
            answer = Reply(specialist=choice.name, declined=True, reason=reason)
        else:
            answer = await self.ask(choice.name, instruction)
        return Routed(specialist=choice.name, confidence=choice.confidence, scores=choice.shares, answer=answer)

    def load(self) -> None:
        """Loads all models.

        Raises:
            UserError: llama.cpp cannot load one.
        """
        for one in self.specialists.values():
            one.load()

    def close(self) -> None:
        """Ends all models."""
        for one in self.specialists.values():
            one.close()


def make_server(service: Service) -> Server[Any]:
    """An MCP server with a tool for each specialist, and the router."""
    tools = [*(_specialist_tool(one, service) for one in service.specialists.values()), _route_tool(service)]
    handlers = {name: partial(service.ask, name) for name in service.specialists} | {ROUTE: service.route}

    async def on_list_tools(_context: Any, _params: Any) -> ListToolsResult:
        return ListToolsResult(tools=tools)

    async def on_call_tool(_context: Any, params: CallToolRequestParams) -> CallToolResult:
        handler = handlers.get(params.name)
        if handler is None:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name[:100]}; known: {', '.join(handlers)}")
        request = _request(params.arguments)
        try:
            return _result(await handler(request.instruction))
        except (UserError, OSError) as error:
            say(f"{params.name}: {error}")
            return CallToolResult(content=[TextContent(type="text", text=str(error))], is_error=True)

    return Server(NAME, on_list_tools=on_list_tools, on_call_tool=on_call_tool)


def _request(arguments: dict[str, Any] | None) -> Request:
    try:
        return Request.model_validate(arguments or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part)[:100] for part in first["loc"]) or "arguments"
        raise MCPError(INVALID_PARAMS, f"{where}: {first['msg']}") from error


def _result(value: BaseModel) -> CallToolResult:
    text = TextContent(type="text", text=value.model_dump_json(indent=2))
    return CallToolResult(content=[text], structured_content=value.model_dump())


def _specialist_tool(specialist: Specialist, service: Service) -> Tool:
    config = specialist.package.config
    names = ", ".join(config.focus or specialist.package.tools)
    return _tool(specialist.name, f"{config.description.strip()} Answers with calls of: {names}.", Reply, service)


def _route_tool(service: Service) -> Tool:
    names = ", ".join(service.specialists)
    return _tool(ROUTE, f"Picks the specialist for an instruction ({names}) and gives its answer.", Routed, service)


def _tool(name: str, description: str, output: type[BaseModel], service: Service) -> Tool:
    quiet = service.allowed is None
    return Tool(
        name=name,
        description=description if quiet else f"{description} Calls of {', '.join(service.allowed)} are executed.",
        input_schema=Request.model_json_schema(),
        output_schema=output.model_json_schema(),
        annotations=ToolAnnotations(read_only_hint=quiet, open_world_hint=False),
    )
