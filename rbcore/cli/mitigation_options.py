"""The options of ``train`` and ``grid`` that the registered mitigations declare."""

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import typer

from rbcore.errors import TrainingError
from rbcore.parameters import Parameter, parse_numbers
from rbcore.training.mitigations import MITIGATIONS, GroupMitigation, Mitigation

Declared = type[Mitigation]


class Option(NamedTuple):
    """A field of a record of options, as `dataclasses.make_dataclass` takes it."""

    name: str
    hint: Any
    default: Any


def train_options() -> type:
    """Return the record of the options that ask for one of the registered mitigations."""
    options: dict[str, Option] = {}
    for declared in MITIGATIONS.values():
        _add(options, declared.option, str, None, declared.meaning, declared.metavar)
        for parameter in _further(declared):
            _add_parameter(options, parameter)
    return _record("MitigationOptions", options)


def chosen_mitigation(options: Any) -> Mitigation | None:
    """Return the mitigation that the options of `train_options` ask for, if any.

    Raises
    ------
    TrainingError
        If they ask for two, or set something of one that is not asked for.
    """
    found: list[Mitigation] = []
    for declared in MITIGATIONS.values():
        text, given = _value(options, declared.option), _given(options, _further(declared))
        if text is None:
            _refuse_stray(f"--{declared.option} {declared.metavar}", declared, given)
        else:
            found.append(declared.of_option(text, given))
    if len(found) > 1:
        names = [f"--{declared.option}" for declared in MITIGATIONS.values()]
        raise TrainingError(
            f"A run has one mitigation; choose one of {', '.join(names[:-1])} and {names[-1]}."
        )
    return found[0] if found else None


def grid_options() -> type:
    """Return the record of the options that ask for a grid of mitigations of one group."""
    first = _first()
    help_ = "The protected group, as in lighting=dim, or all groups of a partition."
    options: dict[str, Option] = {}
    _add(options, first.option, str, dataclasses.MISSING, help_, first.metavar)
    for declared in MITIGATIONS.values():
        for name, usual in declared.grid.items():
            default = ",".join(f"{value:g}" for value in usual) or None
            text = f"Values of {name} for {declared.title}, as in 0.25,0.5."
            _add(options, f"{name}s", str, default, text)
        for parameter in _fixed(declared):
            _add_parameter(options, parameter)
    return _record("GridOptions", options)


def chosen_grid(options: Any) -> list[Mitigation]:
    """Return the mitigations that the options of `grid_options` ask for."""
    spelled = _value(options, _first().option)
    by, group = _first().of_option(spelled, {}).protects
    found: list[Mitigation] = []
    for declared in MITIGATIONS.values():
        texts = {name: _value(options, f"{name}s") for name in declared.grid}
        given = _given(options, _fixed(declared))
        if None in texts.values():
            wanted = " ".join(f"--{name}s {name[0].upper()},{name[0].upper()}" for name in texts)
            _refuse_stray(wanted, declared, given)
            continue
        values = {name: parse_numbers(text, f"--{name}s") for name, text in texts.items()}
        for name in (name for name, numbers in values.items() if not numbers):
            raise TrainingError(f"--{name}s has no numbers; give some, as in 0.25,0.5.")
        found += declared.protecting(str(by), group, given).variations(values)
    return found


def _first() -> type[GroupMitigation]:
    """Return the first mitigation of a group, whose option names the group of a grid."""
    return next(found for found in MITIGATIONS.values() if issubclass(found, GroupMitigation))


def _further(declared: Declared) -> Iterator[Parameter]:
    """Yield the parameters that have an option beside the mitigation's own."""
    for parameter in declared.parameters():
        if issubclass(declared, GroupMitigation) or parameter.name != declared.strength:
            yield parameter


def _fixed(declared: Declared) -> Iterator[Parameter]:
    """Yield the parameters that a grid does not vary."""
    return (found for found in declared.parameters() if found.name not in declared.grid)


def _given(options: Any, parameters: Iterator[Parameter]) -> dict[str, object]:
    found = {known.name: _value(options, known.spelled_option) for known in parameters}
    return {name: value for name, value in found.items() if value is not None}


def _value(options: Any, option: str) -> Any:
    return getattr(options, option.replace("-", "_"))


def _refuse_stray(wanted: str, declared: Declared, given: dict[str, object]) -> None:
    """Raise `TrainingError` for a setting of a mitigation that is not asked for."""
    names = {parameter.name: parameter.spelled_option for parameter in declared.parameters()}
    for name in given:
        raise TrainingError(
            f"--{names[name]} belongs to {wanted.split()[0]}; add {wanted} or leave it out."
        )


def _add_parameter(options: dict[str, Option], parameter: Parameter) -> None:
    kind = type(parameter.default)
    words = f": {', '.join(parameter.choices)}" if parameter.choices else ""
    usual = f"; {parameter.default} by default" if parameter.default else ""
    meaning = parameter.meaning[0].upper() + parameter.meaning[1:]
    _add(options, parameter.spelled_option, kind, None, f"{meaning}{words}{usual}.")


def _add(
    options: dict[str, Option],
    option: str,
    kind: type,
    default: Any,
    help_: str,
    metavar: str | None = None,
) -> None:
    name = option.replace("-", "_")
    if name in options:
        raise TypeError(f"two mitigations declare the option --{option}")
    found = typer.Option(f"--{option}", help=help_, metavar=metavar)
    hint = kind if default is dataclasses.MISSING else kind | None
    options[name] = Option(name, Annotated[hint, found], dataclasses.field(default=default))


def _record(name: str, options: dict[str, Option]) -> type:
    return dataclasses.make_dataclass(name, options.values(), frozen=True, kw_only=True)
