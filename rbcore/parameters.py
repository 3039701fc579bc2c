"""The declaration of what can be set: of a method, and of all else set by name and value."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_type_hints

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
    option
        The command line's option; made of the name where it is empty.
    """

    name: str
    default: Value
    low: float = -math.inf
    high: float = math.inf
    meaning: str = ""
    choices: tuple[str, ...] = ()
    option: str = ""

    @property
    def spelled_option(self) -> str:
        """The command line's option without its dashes: ``pgd-steps``."""
        return self.option or self.name.replace("_", "-")

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
        kind: Any = type(self.default)
        if kind not in (int, float):
            parsed: Value = value if isinstance(value, kind) else kind(value)
            return parsed
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
        found: Value = number
        return found


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


@dataclass(frozen=True)
class Setting:
    """A field of a record, declared: the `Parameter` it holds, and whether it may be None.

    Attributes
    ----------
    parameter
        Its type, range and meaning; its default is the field's, or what stands for it where that
        is None.
    default
        The field's value where none is given; `dataclasses.MISSING` where one has to be.
    """

    parameter: Parameter
    default: object

    @property
    def name(self) -> str:
        """The field's name."""
        return self.parameter.name


def setting(
    default: Any,
    meaning: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    choices: tuple[str, ...] = (),
    option: str = "",
) -> Any:
    """Declare a field of a frozen dataclass; `settings_of` reads the declaration.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Attack:
    ...     steps: int = setting(3, "gradient steps an image", 1, 100)
    >>> [found.parameter.parse("5") for found in settings_of(Attack)]
    [5]
    """
    declared = {"meaning": meaning, "low": low, "high": high, "choices": choices, "option": option}
    return dataclasses.field(default=default, metadata=declared)


@cache
def settings_of(record: type) -> tuple[Setting, ...]:
    """Return the declared fields of a record, in their order; others are left out."""
    hints = get_type_hints(record)
    found = []
    for field in dataclasses.fields(record):
        if field.metadata:
            kinds = get_args(hints[field.name]) or (hints[field.name],)
            kind = next(kind for kind in kinds if kind is not type(None))
            usual = kind() if field.default in (None, dataclasses.MISSING) else field.default
            found.append(Setting(Parameter(field.name, usual, **field.metadata), field.default))
    return tuple(found)


def check_settings(record: Any, error: type[RobustnessBiasError] = ParameterError) -> None:
    """Parse the declared fields of a frozen record in place; to be called from ``__post_init__``.

    Raises
    ------
    error
        If a value is not allowed.
    """
    kind: Any = type(record)
    for declared in settings_of(kind):
        value = getattr(record, declared.name)
        if value is not None or declared.default is not None:
            object.__setattr__(record, declared.name, declared.parameter.parse(value, error))


def record_of(record: Any, owner: str, given: Mapping[str, object]) -> Any:
    """Return a record made of keyword settings.

    Raises
    ------
    UnknownNameError
        For a name that is not among its fields.
    """
    known = [field.name for field in dataclasses.fields(record)]
    for name in given:
        if name not in known:
            raise unknown_name(f"setting of {owner}", name, known)
    return record(**given)


def parse_numbers(
    text: str, what: str, error: type[RobustnessBiasError] = ParameterError
) -> tuple[float, ...]:
    """Return the numbers of a text such as ``.485,.456,.406``.

    Parameters
    ----------
    text
        Numbers, separated by commas or spaces; none in an empty text.
    what
        What they are, for the message.
    error
        Raised if a part is not a number.
    """
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise error(f"{what} {text} is not a list of numbers, as in .485,.456,.406.") from None
