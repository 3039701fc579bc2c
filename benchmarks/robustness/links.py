"""Links to the app with invalid parameters: reported by the page, never a traceback."""

import re
import shutil
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from benchmarks.robustness.cases import HOSTILE, REFUSED, SAME, TRACEBACK, WRONG, Case, Outcome
from benchmarks.robustness.world import World

KIND = "links"
APP = Path(__file__).resolve().parent.parent.parent / "app.py"
SHOWN = {
    "dataset": "digits",
    "model": "small_cnn",
    "run": "net",
    "epoch": "2",
    "method": "minimal:fast",
    "by": "class",
}
EVERYWHERE = ("dataset", "by", "model", "run", "epoch", "method")
KEYS = {
    "start": (),
    "curves": ("group", "figure", "misclassified", "rest", "failed", "tau_max"),
    "heatmap": ("sheet", "within"),
    "images": ("group", "sort", "true", "into", "status", "per_page", "page", "view", "sample"),
    "epochs": ("shown",),
    "agreement": ("first", "second", "log"),
    "mitigation": ("mitigated", "measure", "bias"),
    "lesson": ("step", "guess"),
    "compute": (),
    "method": (),
    "own_data": ("own",),
}
VALUES = (
    *(
        "",
        "nosuch",
        "-1",
        "0",
        "nan",
        "1e999",
        "9" * 300,
        "a" * 3000,
        "<script>alert(1)</script>",
        "\x1b[31m",
        "\u202eabc",
    ),
    *(
        "[x](javascript:alert(1))",
        "../../etc/passwd",
        "a\nb",
        "\x00",
        "\U0001f4a5",
        "None",
        "true",
        "=cmd|' /C calc'!A0",
    ),
)
"""Each page takes every value for the keys of the sidebar once over all pages, and each of its own
keys takes several.
"""
OF_EACH = 7


def link_cases(world: World, seed: int) -> Iterator[Case]:
    """Yield links to every page with an odd value of one parameter, and some with odd keys."""
    pages = list(KEYS)
    for number, key in enumerate(EVERYWHERE):
        for place, value in enumerate(VALUES):
            yield _case(world, pages[(number + place) % len(pages)], key, value)
    for number, (page, keys) in enumerate(KEYS.items()):
        for place, key in enumerate(keys):
            for step in range(OF_EACH):
                yield _case(
                    world, page, key, VALUES[(3 * number + 5 * place + 2 * step) % len(VALUES)]
                )
        yield _case(world, page, "x" * 500, "y" * 500)
        yield _case(world, page, "<b>", "\x00")


def _case(world: World, page: str, key: str, value: str) -> Case:
    def act(folder: Path) -> dict[str, Any]:
        app = opened(page, {**SHOWN, key: value})
        messages = [*app.warning, *app.error, *app.info]
        return {
            "exceptions": [str(error.message)[:300] for error in app.exception],
            "said": [re.sub(r"\\(.)", r"\1", message.value) for message in messages],
            "asked": dict(app.query_params),
        }

    def judge(found: dict[str, Any]) -> Outcome:
        return judge_page(found, key, value)

    def make(folder: Path) -> None:
        shutil.copytree(world.cache, folder / "cache")

    name = f"{page}?{key[:20]}={urllib.parse.quote(value)[:40]}"
    return Case(HOSTILE, KIND, name, act, judge, make, seconds=60)


def opened(page: str, query: dict[str, str]) -> AppTest:
    """Open a page as a click on a link does; AppTest would otherwise run a page without app.py."""
    st.cache_data.clear()
    st.cache_resource.clear()
    created = PagesManager.__init__

    def create(self: PagesManager, *args: Any, **kwargs: Any) -> None:
        created(self, *args, **kwargs)
        PagesManager.uses_pages_directory = False

    PagesManager.__init__ = create
    app = AppTest.from_file(APP, default_timeout=50)
    app.query_params.update(query)
    return app.switch_page(f"pages/{page}.py").run()


def judge_page(found: dict[str, Any], key: str, value: str) -> Outcome:
    """Judge a page: a key that it knows and a value that it cannot take have to be named."""
    if found["exceptions"]:
        return Outcome(TRACEBACK, found["exceptions"][0])
    named = [
        text
        for text in found["said"]
        if repr(value)[1:-1][:40] in text or (key in text and "link" in text)
    ]
    if named:
        return Outcome(REFUSED, named[0][:200])
    is_kept = found["asked"].get(key) in (value, [value])
    if key in SHOWN and is_kept:
        return Outcome(WRONG, f"nothing is said of {key}; the page says {found['said'][:2]}")
    return Outcome(SAME)
