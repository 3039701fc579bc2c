"""The app of a checkout on a server of its own, for tests and benchmarks."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60


@contextmanager
def serve(checkout: Path, cache: Path, **variables: str) -> Iterator[str]:
    """Run the app of a checkout with this cache; give its address, and stop it at the end.

    ``variables`` join its environment.
    """
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))  # stays bound, so that nobody else is given the same port
    port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    command += ["--server.address=127.0.0.1", "--server.headless=true"]
    command += ["--browser.gatherUsageStats=false", "--server.fileWatcherType=none"]
    environment = {
        name: value for name, value in os.environ.items() if name != "RBCORE_UTKFACE_ROOT"
    }
    log = cache.with_name(f"{cache.name}.log")
    with probe, log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=checkout,
            env={**environment, "RBCORE_CACHE": str(cache), **variables},
            stdout=output,
            stderr=output,
        )
        try:
            _wait_until_healthy(server, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                # A job in its thread holds the interpreter until its next step.
                server.kill()
                server.wait()


def _wait_until_healthy(server: subprocess.Popen, address: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text()}")
        try:
            health = f"{address}/_stcore/health"
            with urllib.request.urlopen(health, timeout=5) as answer:  # noqa: S310
                if answer.read() == b"ok":
                    return
        except OSError:  # refused, or not answered yet: it listens while it still imports
            time.sleep(0.1)
    raise RuntimeError(f"the server was not ready within {START_SECONDS} s: {log.read_text()}")
