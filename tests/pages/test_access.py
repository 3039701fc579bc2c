import http.client
from urllib.parse import urlsplit

import pytest

from benchmarks.serving import ROOT, serve
from pages.shell import access, read_only
from tests.pages.app import open_page, said

ROUTES = [
    "/",
    "/curves",
    "/media/x.png",
    "/component/x",
    "/static/x",
    "/_stcore/health",
    "/_stcore/host-config",
    "/_stcore/metrics",
]
KEY = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A read-only server, started as the README says."""
    with serve(ROOT, tmp_path_factory.mktemp("served") / "cache", RBCORE_READ_ONLY="1") as address:
        yield urlsplit(address).netloc


def ask(address, path, method="GET", **headers):
    """Send a request with these headers, Host among them; return its status and its text."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.putrequest(method, path, skip_host=True)
        for name, value in ({"Host": address} | headers).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, "" if answer.status == 101 else answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ROUTES)
def test_no_route_answers_to_a_stranger(address, path):
    status, _ = ask(address, path)
    assert status in (200, 404)
    assert ask(address, path, Host="rebound.example") == (403, access.FOREIGN_HOST)
    assert ask(address, path, Host="localhost.rebound.example:8501") == (403, access.FOREIGN_HOST)
    for origin in ("http://stranger.example", "http://localhost:1", "null"):
        assert ask(address, path, Origin=origin) == (403, access.FOREIGN_ORIGIN)
    assert ask(address, path, Origin=f"http://{address}")[0] == status


def test_the_websocket_opens_for_its_own_page_alone(address):
    own = KEY | {"Origin": f"http://{address}"}
    assert ask(address, "/_stcore/stream", **own)[0] == 101
    assert ask(address, "/_stcore/stream", **own | {"Origin": "http://stranger.example"})[0] == 403
    assert (
        ask(
            address,
            "/_stcore/stream",
            **own | {"Host": "rebound.example", "Origin": "http://rebound.example"},
        )[0]
        == 403
    )


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_a_read_only_server_takes_no_upload(address, method):
    answer = ask(address, "/_stcore/upload_file/session/file", method, Origin=f"http://{address}")
    assert answer == (403, read_only.SENTENCE)


def headers(host="localhost:8501", *more):
    return [(b"host", host.encode()), *more]


def test_what_is_asked_by_whom():
    own = (b"origin", b"http://LOCALHOST:8501")
    assert access.refusal("PUT", headers("localhost:8501", own)) is None
    assert access.refusal("GET", headers("127.0.0.1")) is None
    assert access.refusal("GET", []) == access.FOREIGN_HOST
    assert (
        access.refusal("GET", headers("localhost", (b"host", b"rebound.example")))
        == access.FOREIGN_HOST
    )
    for host in ("localhost@rebound.example", "rebound.example/localhost", "", "[::1"):
        assert access.refusal("GET", headers(host)) == access.FOREIGN_HOST
    for origin in (b"", b"null", b"http://[", b"http://localhost:8502"):
        assert (
            access.refusal("GET", headers("localhost:8501", (b"origin", origin)))
            == access.FOREIGN_ORIGIN
        )


@pytest.mark.slow
def test_the_app_says_where_it_listens():
    (said_once,) = [text for text in said(open_page("compute").caption) if "listens" in text]
    assert (
        said_once
        == "This server listens at http://localhost:8501; it answers to localhost, 127.0.0.1."
    )
