"""Whom the server answers: the hosts of ``server.allowedHosts``, pages of its own, and nothing that writes where it only shows.

Streamlit asks for the host at its WebSocket alone. This stands before every route: pages, media,
components, uploads, health.
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

EVERYWHERE = (None, "", "0.0.0.0", "::")  # noqa: S104
READING = ("GET", "HEAD", "OPTIONS")
STRANGE_HOST = (
    "This server does not answer to that name. Whoever started it adds a name by "
    "--server.allowedHosts; see README.md."
)
STRANGE_ORIGIN = "This server answers to no page of another address."


class Gate:
    """Stands before an ASGI application and refuses, by 403 and a sentence, what `refusal` names."""

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
            await send(
                {"type": "websocket.close", "code": 1008}
            )  # before it is accepted: the answer is 403
        else:
            text = [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"cache-control", b"no-store"),
            ]
            await send({"type": "http.response.start", "status": 403, "headers": text})
            await send({"type": "http.response.body", "body": sentence.encode()})


def refusal(method: str, headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return why a request is refused, or None.

    A name that its maker can point at any machine must not lead here (DNS rebinding), so the host
    has to be one of those allowed; and what a page of another address asks for is refused, unless
    ``server.corsAllowedOrigins`` names it.
    """
    hosts, origins = (
        [value.decode("latin-1") for name, value in headers if name == key]
        for key in (b"host", b"origin")
    )
    if len(hosts) != 1 or not is_host_allowed(hosts[0]):
        return STRANGE_HOST
    for origin in origins:
        if origin not in allowlisted_origins() and _address_of(origin) != hosts[0].lower():
            return STRANGE_ORIGIN
    if read_only.is_read_only() and method not in READING:
        return read_only.SENTENCE
    return None


def _address_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def in_words() -> str:
    """Say where the server listens and to which names it answers."""
    address, hosts = config.get_option("server.address"), config.get_option("server.allowedHosts")
    is_open = address in EVERYWHERE
    where = get_url("localhost" if is_open else address) + (
        " and on every network of this machine" if is_open else ""
    )
    named = "any name" if not hosts or "*" in hosts else ", ".join(hosts)
    return (
        f"This server listens at {where}; it answers to "
        f"{named}{' and only shows' if read_only.is_read_only() else ''}."
    )


@asynccontextmanager
async def opening(app: object) -> AsyncIterator[None]:
    """Say in the terminal whom the server answers and, as Streamlit does for a script, open a browser where there is one."""
    print_to_cli(f"  {in_words()}\n")
    if not config.get_option("server.headless"):
        open_browser(
            get_url(get_display_address(config.get_option("server.address") or "localhost"))
        )
    yield
