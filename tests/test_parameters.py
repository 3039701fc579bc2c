"""A parameter refuses what it does not allow, in a sentence that says what it does."""

import pytest

from rbcore.errors import ParameterError, TrainingError, UnknownNameError
from rbcore.parameters import Parameter, resolve_parameters

STEPS = Parameter("steps", 10, 1, 100, "gradient steps an image")
EPSILON = Parameter("epsilon", 0.5, 0.0, 2.0, "reach, L2 in [0, 1] pixel space")
FORM = Parameter("form", "runner_up", meaning="gap that is closed", choices=("runner_up", "all"))
BY = Parameter("by", "class", meaning="a partition")


@pytest.mark.parametrize(
    "parameter, value, parsed",
    [
        (STEPS, "7", 7),
        (STEPS, 100, 100),
        (EPSILON, 1, 1.0),
        (EPSILON, "2e-1", 0.2),
        (FORM, "all", "all"),
        (BY, "gender*race", "gender*race"),
    ],
)
def test_a_value_or_its_spelling_becomes_the_type_of_the_default(parameter, value, parsed):
    found = parameter.parse(value)
    assert found == parsed and type(found) is type(parsed)


@pytest.mark.parametrize(
    "parameter, value, message",
    [
        (STEPS, 0, "steps=0 is not a whole number from 1 to 100 (gradient steps an image)."),
        (STEPS, "1.5", "steps=1.5 is not a whole number from 1 to 100 (gradient steps an image)."),
        (STEPS, True, "steps=True is not a whole number from 1 to 100 (gradient steps an image)."),
        (EPSILON, "nan", "epsilon=nan is not a number from 0 to 2 (reach, L2 in [0, 1] pixel"),
        (EPSILON, 2.1, "epsilon=2.1 is not a number from 0 to 2 (reach, L2 in [0, 1] pixel"),
        (FORM, "none", "form=none is not one of runner_up, all (gap that is closed)."),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(parameter, value, message):
    with pytest.raises(ParameterError) as raised:
        parameter.parse(value)
    assert str(raised.value).startswith(message)


def test_defaults_give_way_to_the_preset_and_that_to_what_is_given():
    parameters, preset = (STEPS, EPSILON, FORM), {"steps": 20, "epsilon": 1.0}
    assert resolve_parameters("pgd", parameters, {"steps": "30"}, preset) == {
        "steps": 30,
        "epsilon": 1.0,
        "form": "runner_up",
    }


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="no parameter of pgd 'step'.*'steps'"):
        resolve_parameters("pgd", (STEPS, EPSILON), {"step": 3})


def test_the_error_is_of_the_kind_that_the_owner_raises():
    with pytest.raises(TrainingError, match="epsilon=-1 is not a number"):
        resolve_parameters("pgd", (STEPS, EPSILON), {"epsilon": -1}, error=TrainingError)
