"""Screenshots of every page, to look at: ``python -m tests.browser.screenshots FOLDER``; and the README's picture.

Wide and narrow, light and dark, of the app with what ships computed.
"""

import shutil
import tempfile
from pathlib import Path

import typer
from playwright.sync_api import sync_playwright

from tests.browser.serving import ROOT, serve, settled

PAGES = {"curves": "/", "heatmap": "/heatmap", "images": "/images", "compute": "/compute"}
PICTURE = ROOT / "assets" / "curves.png"


def main(folder: Path, readme: bool = False) -> None:
    """Write one PNG a page, width and colour scheme into the folder; with --readme, the README's picture too."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as cache,
        serve(ROOT, Path(cache) / "cache") as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        for scheme in ("light", "dark"):
            for width in (1280, 400):
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                for name, path in PAGES.items():
                    page.goto(address + path, wait_until="domcontentloaded")
                    settled(page)
                    page.wait_for_timeout(2500)
                    page.screenshot(path=folder / f"{name}-{scheme}-{width}.png", full_page=True)
                    if readme and (name, scheme, width) == ("curves", "light", 1280):
                        page.screenshot(path=PICTURE)
                page.close()
        browser.close()


if __name__ == "__main__":
    typer.run(main)
