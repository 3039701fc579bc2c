"""What is registered: names are taken once, and every declaration's code is there."""

from functools import partial

import pytest

from rbcore.datasets import DATASETS
from rbcore.distances import METHODS
from rbcore.errors import UnknownNameError
from rbcore.models import MODELS
from rbcore.registry import LazyFunction, Registry


@pytest.mark.parametrize("name", list(METHODS))
def test_the_code_of_every_method_is_there(name):
    run = METHODS[name].run
    assert isinstance(run, LazyFunction) and callable(run.resolve())


@pytest.mark.parametrize("name", list(MODELS))
def test_the_code_of_every_model_is_there(name):
    build = MODELS[name].build
    function = build.func if isinstance(build, partial) else build
    assert isinstance(function, LazyFunction) and callable(function.resolve())


@pytest.mark.parametrize("name", list(DATASETS))
def test_the_code_of_every_dataset_is_there(name):
    assert callable(DATASETS[name].load)


def test_a_function_named_as_text_is_called_like_the_function():
    assert LazyFunction("math:hypot")(3, 4) == 5


def test_a_name_is_taken_once_and_an_unknown_one_is_answered_with_the_nearest():
    things: Registry[int] = Registry("thing")
    things.add("alpha", 1)
    with pytest.raises(ValueError, match="'alpha' is registered twice"):
        things.add("alpha", 2)
    with pytest.raises(UnknownNameError, match="no thing 'alpa'. Did you mean 'alpha'"):
        things["alpa"]
