"""The two transports: stdio, and streamable HTTP on the loopback interface.

Source: https://modelcontextprotocol.io/specification/2025-06-18/basic/transports.
"""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import ObjectReceiveStream
from mcp import stdio_server
from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError, JSONRPCNotification

from scripts.lib.cli import UserError, say

LOOPBACK = "127.0.0.1"
PATH = "/mcp"
HOSTS = (LOOPBACK, "localhost")
NO_ID = ErrorData(code=INVALID_REQUEST, message="Invalid request: its id is no text and no integer")
MAX_BODY = 1 << 20  # bytes of one HTTP request; the longest instruction takes 24 kB as JSON escapes


async def serve_stdio(server: Server[Any]) -> None:
    """Serves on this process's stdin and stdout until stdin ends; the SDK redirects other prints to stderr."""
    async with stdio_server() as (incoming, outgoing), _answering_garbage(incoming, outgoing) as messages:
        await server.run(messages, outgoing, server.create_initialization_options())


@asynccontextmanager
async def _answering_garbage(incoming: Any, outgoing: Any) -> AsyncIterator[ObjectReceiveStream[SessionMessage]]:
    """The stream of valid messages; an invalid one, which the SDK would drop silently, is answered with an error."""
    send, receive = anyio.create_memory_object_stream[SessionMessage](0)

    async def relay() -> None:
        async with send:
            async for item in incoming:
                if error := _error_of(item):
                    await outgoing.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=None, error=error)))
                else:
                    await send.send(item)

    async with anyio.create_task_group() as tasks, receive:
        tasks.start_soon(relay)
        yield receive
        tasks.cancel_scope.cancel()


def _error_of(item: SessionMessage | Exception) -> ErrorData | None:
    """The error of a line that is not JSON-RPC, or of a request without a valid id; None for a valid message."""
    if isinstance(item, Exception):
        return ErrorData(code=PARSE_ERROR, message="Parse error: this line is no JSON-RPC message")
    message = item.message
    # The SDK treats a request whose id is neither a string nor an integer as a notification, which gets no answer.
    if isinstance(message, JSONRPCNotification) and not message.method.startswith("notifications/"):
        return NO_ID
    return None


def serve_http(server: Server[Any], port: int) -> None:
    """Serves streamable HTTP on 127.0.0.1 and on no other interface; port 0 takes a free port.

    Raises:
        UserError: the port is taken.
    """
    import uvicorn

    try:
        listening = socket.create_server((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        raise UserError(f"--http {port}: cannot listen there ({error}); choose another port, or 0 for any.") from error
    with listening:
        security = TransportSecuritySettings(
            allowed_hosts=[form for host in HOSTS for form in (host, f"{host}:*")],
            allowed_origins=[form for host in HOSTS for form in (f"http://{host}", f"http://{host}:*")],
        )
        app = server.streamable_http_app(
            streamable_http_path=PATH, transport_security=security, max_request_body_size=MAX_BODY, host=LOOPBACK
        )
        app = refusing_odd_ids(app)
        # uvicorn's own logging would write requests to stdout.
        config = uvicorn.Config(
            app, log_config=None, log_level="warning", access_log=False, timeout_graceful_shutdown=5
        )
        say(f"listening on {address(listening.getsockname()[1])}")
        uvicorn.Server(config).run(sockets=[listening])


def refusing_odd_ids(app: Any) -> Any:
    """ASGI middleware: a request whose id is neither a string nor an integer gets an error.

    The SDK treats such a request as a notification, so that its sender would wait for an answer forever.
    """

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        held, body = [], b""
        while len(body) <= MAX_BODY:
            held.append(await receive())
            body += held[-1].get("body", b"")
            if not held[-1].get("more_body"):
                break
        if has_odd_id(body):
            answer = JSONRPCError(jsonrpc="2.0", id=None, error=NO_ID).model_dump_json(exclude_unset=True).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
            await send({"type": "http.response.start", "status": 400, "headers": headers})
            await send({"type": "http.response.body", "body": answer})
            return

        async def replay() -> Any:
            return held.pop(0) if held else await receive()

        await app(scope, replay, send)

    return middleware


def has_odd_id(body: bytes) -> bool:
    """Whether a body is a JSON-RPC call, not a notification, whose id is neither a string nor an integer."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):  # the SDK answers these itself
        return False
    if not isinstance(value, dict) or not isinstance(value.get("method"), str):
        return False
    known = isinstance(value.get("id"), str | int) and not isinstance(value.get("id"), bool)
    return not known and not value["method"].startswith("notifications/")


def address(port: int) -> str:
    """The URL of the server."""
    return f"http://{LOOPBACK}:{port}{PATH}"
