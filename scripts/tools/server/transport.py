"""The two ways in: stdio, and streamable HTTP on the loopback interface."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
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
    """Serves this process's stdin and stdout until stdin ends; the SDK sends stray prints to stderr meanwhile."""
    async with stdio_server() as (incoming, outgoing), _answering_garbage(incoming, outgoing) as sound:
        await server.run(sound, outgoing, server.create_initialization_options())


@asynccontextmanager
async def _answering_garbage(incoming: Any, outgoing: Any) -> AsyncIterator[ObjectReceiveStream[SessionMessage]]:
    """The stream without what is no JSON-RPC, which the SDK would drop silently: it gets an error instead."""
    send, receive = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as tasks, receive:
        tasks.start_soon(_relay, incoming, send, outgoing)
        yield receive
        tasks.cancel_scope.cancel()


async def _relay(incoming: Any, send: ObjectSendStream[SessionMessage], outgoing: Any) -> None:
    async with send:
        async for item in incoming:
            if error := _error_of(item):
                await outgoing.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=None, error=error)))
            else:
                await send.send(item)


def _error_of(item: SessionMessage | Exception) -> ErrorData | None:
    """What is wrong with a line, if it is anything that no answer could be given an id for."""
    if isinstance(item, Exception):
        return ErrorData(code=PARSE_ERROR, message="Parse error: this line is no JSON-RPC message")
    message = item.message
    # To the SDK a request whose id is neither text nor an integer is a notification, which nobody answers.
    if isinstance(message, JSONRPCNotification) and not message.method.startswith("notifications/"):
        return NO_ID
    return None


def serve_http(server: Server[Any], port: int) -> None:
    """Serves streamable HTTP on 127.0.0.1 and on no other interface; port 0 takes a free one.

    Raises:
        UserError: the port is taken.
    """
    import uvicorn

    with _bound(port) as listening:
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
    """The ASGI application behind a door: requests whose id is neither text nor a whole number get an error.

    The SDK takes them for notifications, which nobody answers: their sender would wait for ever.
    """

    async def door(scope: Any, receive: Any, send: Any) -> None:
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
            await _refuse(send)
            return
        waiting = iter(held)
        await app(scope, lambda: _next(waiting, receive), send)

    return door


async def _next(waiting: Iterator[Any], receive: Any) -> Any:
    """What was read already, then what comes."""
    message = next(waiting, None)
    return await receive() if message is None else message


def has_odd_id(body: bytes) -> bool:
    """Whether a body is a request, and none that could be answered: a call with no id of a kind that JSON-RPC knows."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):  # the SDK says so itself
        return False
    if not isinstance(value, dict) or not isinstance(value.get("method"), str):
        return False
    known = isinstance(value.get("id"), str | int) and not isinstance(value.get("id"), bool)
    return not known and not value["method"].startswith("notifications/")


async def _refuse(send: Any) -> None:
    answer = JSONRPCError(jsonrpc="2.0", id=None, error=NO_ID).model_dump_json(exclude_unset=True).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def address(port: int) -> str:
    """Where clients find the server."""
    return f"http://{LOOPBACK}:{port}{PATH}"


def _bound(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        raise UserError(f"--http {port}: cannot listen there ({error}); choose another port, or 0 for any.") from error
    return listening
