"""The public names: one table, the same for a type checker, and each is there."""

import ast
from pathlib import Path

import pytest

import rbcore as rb


@pytest.mark.parametrize("name", rb.__all__)
def test_every_public_name_is_there(name):
    assert name in dir(rb) and getattr(rb, name).__name__.endswith(name)


def test_a_type_checker_reads_the_same_table():
    tree = ast.parse(Path(rb.__file__).read_text(encoding="utf-8"))
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {}
    for statement in checked.body:
        for alias in statement.names:
            is_module = statement.module == "rbcore"
            seen[alias.name] = f"rbcore.{alias.name}" if is_module else statement.module
    assert seen == rb.MODULES


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'rbcore' has no attribute 'estimate_distance'"):
        rb.estimate_distance  # noqa: B018
