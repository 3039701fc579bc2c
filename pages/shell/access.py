"""Which requests the server answers: allowed hosts, its own pages, no uploads in read-only mode.

Streamlit checks the host of its WebSocket only. This checks every route: pages, media, components,
uploads, health.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from streamlit import config
from streamlit.cli_util import open_browser, print_to_cli
from streamlit.web.server.server_util import allowlisted_origins, get_display_address, get_url
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from pages.shell import read_only

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

ALL_ADDRESSES = (None, "", "0.0.0.0", "::")  # noqa: S104
READ_METHODS = ("GET", "HEAD", "OPTIONS")
FOREIGN_HOST = (
    "This server does not answer to that host name. Whoever started it can allow a name with "
    "--server.allowedHosts; see README.md."
)
FOREIGN_ORIGIN = "This server does not answer requests from pages of another origin."


class AccessControl:
    """ASGI middleware that refuses, with status 403 and a sentence, what `refusal` names."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it before anything of it is read."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        sentence = refusal(scope.get("method", "GET"), scope["headers"])
        if sentence is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            # Closed before it is accepted, so the answer is 403.
            await send({"type": "websocket.close", "code": 1008})
        else:
            text = [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"cache-control", b"no-store"),
            ]
            await send({"type": "http.response.start", "status": 403, "headers": text})
            await send({"type": "http.response.body", "body": sentence.encode()})


def refusal(method: str, headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return why a request is refused, or None.

    Against DNS rebinding, the host has to be one of those allowed; and a request from a page of
    another origin is refused, unless ``server.corsAllowedOrigins`` names it.
    """
    hosts, origins = (
        [value.decode("latin-1") for name, value in headers if name == key]
        for key in (b"host", b"origin")
    )
    if len(hosts) != 1 or not is_host_allowed(hosts[0]):
        return FOREIGN_HOST
    for origin in origins:
        if origin not in allowlisted_origins() and _address_of(origin) != hosts[0].lower():
            return FOREIGN_ORIGIN
    if read_only.is_read_only() and method not in READ_METHODS:
        return read_only.SENTENCE
    return None


def _address_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def describe_server() -> str:
    """Say where the server listens and to which host names it answers."""
    address, hosts = config.get_option("server.address"), config.get_option("server.allowedHosts")
    is_open = address in ALL_ADDRESSES
    where = get_url("localhost" if is_open else address) + (
        " and on every network interface of this machine" if is_open else ""
    )
    named = "any name" if not hosts or "*" in hosts else ", ".join(hosts)
    mode = " and is read-only" if read_only.is_read_only() else ""
    return f"This server listens at {where}; it answers to {named}{mode}."


@asynccontextmanager
async def announce(app: object) -> AsyncIterator[None]:
    """Say where the server listens, and open a browser as Streamlit does for scripts."""
    print_to_cli(f"  {describe_server()}\n")
    if not config.get_option("server.headless"):
        open_browser(
            get_url(get_display_address(config.get_option("server.address") or "localhost"))
        )
    yield
