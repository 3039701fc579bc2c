"""Each kind of file is downloaded and opened again: picture, drawing, table, report."""

import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from PIL import Image
from playwright.sync_api import Page, expect

import rbcore as rb
from rbcore import wording
from tests.browser.serving import visit
from tests.pages.app import shipped


def download(page: Page, label: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=label, exact=True).click()
    return Path(waiting.value.path()).read_bytes()


def test_every_file_opens_again(full, page, tmp_path):
    visit(page, f"{full}/curves?dataset=digits", "Robustness curves")
    expect(page.locator('[data-testid="stVegaLiteChart"] svg').nth(1)).to_be_visible()
    page.get_by_role("button", name="Download", exact=True).nth(1).click()
    image = Image.open(io.BytesIO(download(page, "sigma: PNG")))
    image.load()
    assert (
        image.format == "PNG" and min(image.size) > 300 and len(image.convert("L").getcolors()) > 10
    )
    drawing = ElementTree.fromstring(download(page, "sigma: SVG"))  # noqa: S314
    texts = {text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")}
    bias = rb.robustness_bias(shipped().rows, "class")
    assert set(bias["group"]) <= texts
    table = pd.read_csv(io.BytesIO(download(page, "sigma: CSV")), dtype={"group": str})
    pd.testing.assert_frame_equal(table[list(bias.columns)], bias, check_dtype=False)

    page.keyboard.press("Escape")
    (tmp_path / "report.html").write_bytes(download(page, "Report of this selection"))
    opened, requests = page.context.new_page(), []
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto((tmp_path / "report.html").as_uri())
    expect(opened.get_by_role("heading", name="Robustness bias:")).to_be_visible()
    expect(opened.get_by_text(wording.verdict(bias))).to_be_visible()
    sizes = opened.locator("img").evaluate_all(
        "images => images.map(i => i.complete && i.naturalWidth)"
    )
    assert len(sizes) == 2 and np.all(np.array(sizes) > 200)
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    opened.close()
