"""Named things: a name is taken once, and an unknown one is answered with those there are."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from rbcore.errors import UnknownNameError

Item = TypeVar("Item")


def unknown_name(kind: str, name: object, known: list[str]) -> UnknownNameError:
    """Build the error for a name that is not among those known, with the nearest one as a hint."""
    close = get_close_matches(str(name), known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UnknownNameError(
        f"There is no {kind} {str(name)!r}.{hint} Known: {', '.join(known) or 'none'}."
    )


@dataclass(frozen=True)
class LazyFunction:
    """A function named as text, whose module is imported at the first call.

    So a declaration that names its code needs none of the libraries which that code imports.

    Attributes
    ----------
    path
        ``module:function``, as in ``rbcore.models.small_cnn:build``.
    """

    path: str

    def resolve(self) -> Any:
        """Return the function."""
        module, _, name = self.path.partition(":")
        return getattr(importlib.import_module(module), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.resolve()(*args, **kwargs)


class Registry(Generic[Item]):
    """Named items in the order of their registration.

    Parameters
    ----------
    kind
        What is registered, in the singular, for messages: ``"dataset"``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, Item] = {}

    def add(self, name: str, item: Item) -> None:
        """Register ``item``.

        A name that is taken raises ``ValueError``, since that is a programming error.
        """
        if name in self._items:
            raise ValueError(f"the {self.kind} {name!r} is registered twice")
        self._items[name] = item

    def __getitem__(self, name: str) -> Item:
        """Return the item of that name, or raise `UnknownNameError` with the names there are."""
        try:
            return self._items[name]
        except (KeyError, TypeError):
            raise unknown_name(self.kind, name, list(self._items)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def values(self) -> list[Item]:
        """Return the items in the order of their registration."""
        return list(self._items.values())
