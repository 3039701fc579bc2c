"""Screenshots of every page, to look at: ``python -m tests.browser.screenshots FOLDER``; and
the README's picture.

Wide and narrow, light and dark, of the app with what ships computed.
"""

import shutil
import tempfile
from pathlib import Path

import typer
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.serving import ROOT, serve
from tests.browser.serving import menu_paths, settled

HEIGHTS = {1280: 720, 400: 900}

expect.set_options(timeout=120_000)  # a busy machine
PICTURE, PICTURE_HEIGHT = ROOT / "assets" / "curves.png", 960


def main(folder: Path, readme: bool = False) -> None:
    """Write one PNG a page, width and color scheme into the folder; with --readme, the
    README's picture too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as cache,
        serve(ROOT, Path(cache) / "cache") as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        for scheme in ("light", "dark"):
            for width, height in HEIGHTS.items():
                page = browser.new_page(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )
                page.goto(address, wait_until="domcontentloaded")
                expect(page.get_by_role("heading").first).to_be_visible()
                for title, path in menu_paths(page).items():
                    name = title.lower().replace(" ", "-")
                    page.goto(address + path, wait_until="domcontentloaded")
                    settled(page)
                    page.wait_for_timeout(2500)
                    page.set_viewport_size(
                        {"width": width, "height": _content_height(page, height)}
                    )
                    page.wait_for_timeout(500)
                    page.screenshot(path=folder / f"{name}-{scheme}-{width}.png")
                    if readme and (name, scheme, width) == ("curves", "light", 1280):
                        page.set_viewport_size({"width": width, "height": PICTURE_HEIGHT})
                        page.wait_for_timeout(500)
                        page.screenshot(path=PICTURE)
                    page.set_viewport_size({"width": width, "height": height})
                page.close()
        browser.close()


def _content_height(page: Page, least: int) -> int:
    """Return how high a window must be to show all of a page: Streamlit scrolls inside it."""
    scrolled = page.locator("[data-testid=stMain], [data-testid=stSidebarContent]")
    return max(
        least, *scrolled.evaluate_all("elements => elements.map(element => element.scrollHeight)")
    )


if __name__ == "__main__":
    typer.run(main)
