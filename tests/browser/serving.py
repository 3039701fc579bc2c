"""What the browser tests share: read a page once it has settled."""

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, TimeoutError, expect

from benchmarks.serving import ROOT

expect.set_options(timeout=30_000)


def copy_without_results(folder: Path) -> Path:
    """Copy what the app needs, but nothing that ships computed."""
    for name in ("pages", "rbcore", "assets", ".streamlit"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def settled(page: Page) -> Page:
    """Wait until the page's script has ended."""
    expect(
        page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')
    ).to_be_visible()
    return page


def visit(page: Page, address: str, title: str) -> Page:
    """Open an address and wait until its page stands."""
    page.goto(address, wait_until="domcontentloaded")
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    return settled(page)


def menu_paths(page: Page) -> dict[str, str]:
    """Return the path of every page of the menu by its title, as the sidebar of an open
    page lists them.
    """
    links = page.get_by_test_id("stSidebarNav").get_by_role("link")
    expect(links.first).to_be_attached()
    return {
        link.inner_text().strip(): urlsplit(link.get_attribute("href")).path for link in links.all()
    }


def picker(page: Page, label: str) -> Locator:
    """Return the field of a picker by its label, or how its label begins."""
    return (
        page.get_by_test_id("stSelectbox")
        .filter(has_text=re.compile(f"^{re.escape(label)}"))
        .locator("input")
    )


def choose(page: Page, label: str, option: str) -> None:
    """Choose an option of a picker as a visitor would: again, if the page closed the list while it
    was being drawn anew.
    """
    offered = page.get_by_role("option", name=option, exact=True)
    for _ in range(3):
        picker(page, label).click()
        try:
            offered.click(timeout=5_000)
            break
        except TimeoutError:
            page.keyboard.press("Escape")
    expect(picker(page, label)).to_have_value(option)
    settled(page)


def expect_picked(page: Page, picked: dict[str, str]) -> None:
    """Wait until the pickers show these options."""
    for label, option in picked.items():
        expect(picker(page, label)).to_have_value(option)


def extents(page: Page, marks: str) -> list[tuple[float, float]]:
    """Return width and height in pixels of a kind of marks of the page's charts, without those of
    legends and axes.
    """
    found = page.locator(f'[data-testid="stVegaLiteChart"] svg .mark-{marks}.role-mark path')
    expect(found.first).to_be_attached()
    return [
        tuple(extent)
        for extent in found.evaluate_all(
            "marks => marks.map(m => [m.getBBox().width, m.getBBox().height])"
        )
    ]
