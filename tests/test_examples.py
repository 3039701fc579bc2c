"""The example of every public name runs, on what ships, and prints what it says."""

import doctest
from types import ModuleType

import pytest

import rbcore as rb

NAMES = ["rbcore", *rb.__all__]


def object_of(name: str) -> object:
    return rb if name == "rbcore" else getattr(rb, name)


def examples_of(name: str) -> list[doctest.DocTest]:
    """Return the example in the docstring of a name, and those in a class's methods."""
    thing = object_of(name)
    if isinstance(thing, ModuleType):
        text = thing.__doc__ or ""
        return [doctest.DocTestParser().get_doctest(text, {}, name, thing.__file__, 0)]
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for test in finder.find(thing, name) if test.examples]


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_name_runs(name, capsys):
    tests = examples_of(name)
    assert tests and tests[0].name == name and tests[0].examples, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.FAIL_FAST)
    for test in tests:
        ran = runner.run(test, clear_globs=False)
        assert ran.failed == 0, capsys.readouterr().out
        assert ran.attempted == len(test.examples)


def test_no_example_is_skipped():
    for name in NAMES:
        for test in examples_of(name):
            assert not any(example.options for example in test.examples), test.name
