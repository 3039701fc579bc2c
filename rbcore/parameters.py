"""The declaration of what can be set: of a method, and of whatever else is set by name and value."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rbcore.errors import ParameterError, RobustnessBiasError
from rbcore.registry import unknown_name

Value = int | float | str
"""What a parameter can be; it goes into keys and sidecars as it is."""


@dataclass(frozen=True)
class Parameter:
    """One thing that can be set; its type is that of its default.

    Attributes
    ----------
    name, default
        Name, and value where none is given.
    low, high
        Smallest and largest number allowed.
    meaning
        What it does, with its unit.
    choices
        The words allowed, where it is a word; any word where there are none.
    """

    name: str
    default: Value
    low: float = -math.inf
    high: float = math.inf
    meaning: str = ""
    choices: tuple[str, ...] = ()

    def parse(self, value: object, error: type[RobustnessBiasError] = ParameterError) -> Value:
        """Return the value as the parameter's type.

        Parameters
        ----------
        value
            A value, or its spelling as text.
        error
            Raised, naming the value and what is allowed, if the value is not allowed.
        """
        if isinstance(self.default, str):
            if self.choices and value not in self.choices:
                raise error(
                    f"{self.name}={value} is not one of {', '.join(self.choices)} ({self.meaning})."
                )
            return str(value)
        kind = type(self.default)
        try:
            number = kind(str(value))
        except ValueError:
            number = None
        if number is None or not math.isfinite(number) or not self.low <= number <= self.high:
            noun = "a whole number" if kind is int else "a number"
            raise error(
                f"{self.name}={value} is not {noun} from {self.low:g} to {self.high:g} "
                f"({self.meaning})."
            )
        return number


def resolve_parameters(
    owner: str,
    parameters: Iterable[Parameter],
    given: Mapping[str, object],
    preset: Mapping[str, object] | None = None,
    error: type[RobustnessBiasError] = ParameterError,
) -> dict[str, Value]:
    """Return the values of all parameters: defaults, overridden by a preset, then by those given.

    Parameters
    ----------
    owner
        Name of the thing that has the parameters, for messages.
    parameters
        Its parameters, in the order of the result.
    given, preset
        Values by name, or their spellings as text.
    error
        Raised if a value is not allowed.

    Raises
    ------
    UnknownNameError
        For a name that is not among the parameters.

    Examples
    --------
    >>> steps = Parameter("steps", 10, 1, 100, "gradient steps an image")
    >>> resolve_parameters("pgd", [steps], {"steps": "20"})
    {'steps': 20}
    """
    known = {parameter.name: parameter for parameter in parameters}
    values: dict[str, object] = {name: parameter.default for name, parameter in known.items()}
    for name, value in {**(preset or {}), **given}.items():
        if name not in known:
            raise unknown_name(f"parameter of {owner}", name, list(known))
        values[name] = value
    return {name: known[name].parse(value, error) for name, value in values.items()}
