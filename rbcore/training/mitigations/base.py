"""What a mitigation is: declared settings, their spelling, and what they do to a training.

Page, command line, report, sidecar and charts read the declaration. It needs no torch: what a
mitigation does is imported when a training asks for its `Hooks`. To add one: a file
in this folder with a subclass, `MITIGATIONS.add`, and its import in `rbcore.training.mitigations`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pandas as pd

from rbcore.errors import TrainingError
from rbcore.parameters import Parameter, Value, check_settings, record_of, settings_of
from rbcore.registry import Registry
from rbcore.store import Settings
from rbcore.training.mitigations.groups import split_spelling

if TYPE_CHECKING:
    from rbcore.training.hooks import Hooks


@dataclass(frozen=True)
class Mitigation(ABC):
    """Settings of what a training does about a bias; a subclass declares one mitigation.

    Attributes
    ----------
    kind, title, meaning
        Name in sidecars, name for people, and a sentence on what it does.
    option, metavar
        The option of ``train`` that asks for it, and what the option takes.
    strength
        The setting that it is turned up by: it labels and orders runs.
    grid
        The settings that ``grid`` varies, as ``--epsilons`` for ``epsilon``, with the values where
        none are given. With no values, the mitigation takes part only where it is asked for.
    reported
        What of a run's history ``train`` and ``grid`` print.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    meaning: ClassVar[str]
    option: ClassVar[str]
    metavar: ClassVar[str]
    strength: ClassVar[str]
    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {}
    reported: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_settings(self, TrainingError)

    @property
    @abstractmethod
    def suffix(self) -> str:
        """What it adds to the name of the plain run: ``+adversarial-e0.5``."""

    @abstractmethod
    def hooks(self, samples: pd.DataFrame) -> Hooks:
        """Return what it does to a training on the samples of a dataset.

        One that has nobody to protect raises, as
        `rbcore.training.mitigations.groups.group_codes` says.
        """

    @classmethod
    def of_option(cls, text: str, given: Mapping[str, Any]) -> Self:
        """Return the mitigation that its option and further settings ask for."""
        return cls(**{cls.strength: text, **given})

    @classmethod
    def protecting(cls, by: str, group: str | None, given: Mapping[str, Any]) -> Self:
        """Return the mitigation for a group, with the usual settings where none are given."""
        return cls(**given)

    def variations(self, values: Mapping[str, Iterable[float]]) -> list[Self]:
        """Return one mitigation for every combination of values of its settings."""
        return [
            replace(self, **dict(zip(values, chosen, strict=True)))
            for chosen in product(*values.values())
        ]

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """Return what can be set, beside the protected group."""
        return tuple(declared.parameter for declared in settings_of(cls))

    @property
    def spelled(self) -> str:
        """The value of its option."""
        return f"{getattr(self, self.strength):.15g}"

    @property
    def label(self) -> str:
        """What it is turned up by, in a word or two: ``epsilon 0.5``."""
        return f"{self.strength} {getattr(self, self.strength):g}"

    @property
    def protects(self) -> tuple[str | None, str | None]:
        """The partition and the group it protects; None where it knows none, or all alike."""
        return None, None

    @property
    def whom(self) -> str:
        """The protected group in words; empty where it knows none."""
        by, group = self.protects
        if by is None:
            return ""
        return f" for all groups of {by}" if group is None else f" for {by} = {group}"

    def options(self) -> dict[str, Value]:
        """Return the options of ``train`` that ask for it, without their dashes."""
        found = self.values()
        if self.protects[0] is None:
            found.pop(self.strength)
        names = {parameter.name: parameter.spelled_option for parameter in self.parameters()}
        return {self.option: self.spelled} | {names[name]: found[name] for name in found}

    def values(self) -> dict[str, Value]:
        """Return the settings that are set, by name, beside the protected group."""
        found = {parameter.name: getattr(self, parameter.name) for parameter in self.parameters()}
        return {name: value for name, value in found.items() if value is not None}

    def as_facts(self) -> Settings:
        """Return the settings as JSON-able facts."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class GroupMitigation(Mitigation):
    """A mitigation that protects a group.

    Attributes
    ----------
    by
        A partition, as it is spelled everywhere: ``lighting``, ``class``,
        ``age:15,25``, ``gender*race``.
    group
        The protected group P; None for all groups.
    """

    metavar: ClassVar[str] = "PARTITION[=GROUP]"

    by: str
    group: str | None = None

    @classmethod
    def of_option(cls, text: str, given: Mapping[str, Any]) -> Self:
        """Return the mitigation of ``PARTITION=GROUP``, or of ``PARTITION`` for all groups."""
        return cls.protecting(*split_spelling(text), given)

    @classmethod
    def protecting(cls, by: str, group: str | None, given: Mapping[str, Any]) -> Self:
        """Return the mitigation for a group, with the usual settings where none are given."""
        return cls(by, group, **given)

    @property
    def spelled(self) -> str:
        """The value of its option."""
        return self.by if self.group is None else f"{self.by}={self.group}"

    @property
    def protects(self) -> tuple[str | None, str | None]:
        """The partition and the group it protects; None for all groups."""
        return self.by, self.group


MITIGATIONS: Registry[type[Mitigation]] = Registry("mitigation")


def mitigation_of(facts: Mapping[str, Any]) -> Mitigation:
    """Return the mitigation that a run's sidecar holds.

    Raises
    ------
    UnknownNameError
        If its kind is not registered, or it has other settings.
    """
    declared = MITIGATIONS[facts["kind"]]
    given = {name: value for name, value in facts.items() if name != "kind"}
    found: Mitigation = record_of(declared, declared.title, given)
    return found
