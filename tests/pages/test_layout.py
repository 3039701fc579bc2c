"""How pages are written: render on top, helpers with arguments below, one call at the end."""

import ast
from pathlib import Path

import pytest

from tests.pages.app import APP

PAGES = sorted((APP.parent / "pages").glob("*.py"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_one_render_with_its_helpers_below(path: Path):
    body = ast.parse(path.read_text(encoding="utf-8")).body
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    assert functions[0] == "render"
    first, *others, last = [
        node for node in body if isinstance(node, ast.Expr | ast.If | ast.For | ast.With | ast.Try)
    ]
    assert isinstance(first.value, ast.Constant), "a docstring"
    assert last is body[-1] and ast.unparse(last).startswith("render(")
    assert all(isinstance(node.value, ast.Constant) for node in others), "a text on a constant"
