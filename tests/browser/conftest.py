import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from benchmarks.serving import ROOT, serve
from tests.browser.serving import copy_without_results

# Package scope, not session: while Playwright is open an event loop runs in this thread, which
# other tests must not meet.


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        options = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
        ]
        launched = playwright.chromium.launch(executable_path=chromium, args=options)
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def full_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("full") / "cache"


@pytest.fixture(scope="package")
def full(browser: Browser, full_cache: Path) -> Iterator[str]:
    """Address of the app with all that ships computed."""
    with serve(ROOT, full_cache) as address:
        yield address


@pytest.fixture(scope="module")
def empty(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app with nothing trained and nothing computed."""
    folder = tmp_path_factory.mktemp("empty")
    with serve(copy_without_results(folder / "checkout"), folder / "cache") as address:
        yield address


def watched(context: BrowserContext) -> list[str]:
    """Collect what must not happen on any page: errors of the page's scripts, requests to
    other machines.
    """
    problems: list[str] = []

    def see(request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob", "file") and address.hostname != "127.0.0.1":
            problems.append(f"request to {request.url}")

    context.on("request", see)
    context.on("weberror", lambda error: problems.append(f"page error: {error.error}"))
    return problems


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of a new visitor; at the end no page of theirs may show an exception, fail in a script,
    or have left this machine.
    """
    with browser.new_context(viewport={"width": 1280, "height": 1000}) as context:
        problems = watched(context)
        yield context.new_page()
        for tab in context.pages:
            problems += tab.get_by_test_id("stException").all_inner_texts()
        assert problems == []
