"""How pages are written: render on top, helpers with arguments below, one call at the end."""

import ast
from pathlib import Path

import pytest

from tests.pages.app import APP

DECLARATIONS = ast.Import | ast.ImportFrom | ast.Assign | ast.FunctionDef | ast.ClassDef
PAGES = sorted((APP.parent / "pages").glob("*.py"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_one_render_with_its_helpers_below(path: Path):
    body = ast.parse(path.read_text(encoding="utf-8")).body
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    assert functions[0] == "render"
    # Streamlit draws every other bare expression of a page, a string too.
    first, last = [node for node in body if not isinstance(node, DECLARATIONS)]
    assert first is body[0] and isinstance(first.value, ast.Constant), "a docstring"
    assert last is body[-1] and ast.unparse(last).startswith("render(")
