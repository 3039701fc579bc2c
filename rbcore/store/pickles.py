"""Look into a pickle without running it: what it holds, and what it would have called, by name.

A pickle is a program: ``pickle.load`` calls whatever it names, hangs where a tuple of tuples is
hashed, and takes gigabytes for a memo of two entries. Here the few opcodes that data need are
followed by hand, each once, in memory that the size of the pickle bounds. Nothing a pickle names is
ever imported or called: it becomes a `Built`.
"""

import os
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from typing import Any

from rbcore.errors import RobustnessBiasError

MOST_BYTES = 2**28
"""Size of a pickle; the largest batch of CIFAR has 155 MB."""
MOST_OPCODES = 1_000_000
"""A batch of CIFAR-100 has 250,000, a large network 100,000."""
Name = str
"""``module.name``, as a pickle asks for it."""


class RefusedPickle(RobustnessBiasError):
    """A pickle that is damaged, too large, or more than data.

    The text goes on after the name of its file.
    """


@dataclass(eq=False)
class Built:
    """What a pickle would have made by a call: name, arguments, and the state it would have set."""

    name: Name
    arguments: Any = ()
    state: Any = None


@dataclass(frozen=True, eq=False)
class Global:
    """A function or class that a pickle asks for, by name."""

    name: Name


@dataclass(frozen=True, eq=False)
class Stored:
    """What a pickle says of data that lie outside it, such as the storage of a tensor."""

    description: Any


@dataclass(frozen=True)
class Pickle:
    """What a pickle holds, names it asks for, its calls, what lies outside, and where it ends."""

    content: Any
    names: frozenset[Name]
    built: list[Built]
    stored: list[Stored]
    end: int


@dataclass
class _Machine:
    is_known: Callable[[Name], bool]
    names: set[Name] = field(default_factory=set)
    stack: list[Any] = field(default_factory=list)
    marks: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    built: list[Built] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def named(self, module: object, name: object) -> Global:
        full = f"{module}.{name}"
        if not self.is_known(full):
            raise RefusedPickle(f"it asks for {full[:100]}")
        self.names.add(full)
        return Global(full)

    def call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise RefusedPickle("it calls something that is not a function")
        if function.name == "collections.OrderedDict" and not arguments:
            return {}
        self.built.append(Built(function.name, arguments))
        return self.built[-1]

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise RefusedPickle("it sets items of something that is not a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            parts = key if isinstance(key, tuple) else (key,)
            if not all(isinstance(part, str | bytes | int | float | None) for part in parts):
                raise RefusedPickle("it has a key that is neither text nor a number")
            target[key] = value

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise RefusedPickle("it appends to something that is not a list")
        self.stack[-1].extend(items)

    def build(self, state: Any) -> None:
        target = self.stack[-1]
        if isinstance(target, Built):
            target.state = state
        elif type(target) is not dict:  # an OrderedDict may carry attributes, which hold no weights
            raise RefusedPickle(f"it sets attributes of a {type(target).__name__}")


_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
_TEXTS = (
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
)
_BYTES = ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8")
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset({*_CONSTANTS, *_NUMBERS, *_TEXTS, *_BYTES})


def _step(machine: _Machine, name: str, argument: Any) -> None:
    """Follow one opcode; the names are those of `pickletools`."""
    stack = machine.stack
    match name:
        case "PROTO" | "FRAME" | "STOP":
            pass
        case _ if name in _VALUES:
            stack.append(_CONSTANTS.get(name, argument))
        case "MARK":
            machine.marks.append(stack)
            machine.stack = []
        case "POP":
            stack.pop()
        case "EMPTY_LIST" | "EMPTY_SET":
            stack.append([])
        case "EMPTY_DICT":
            stack.append({})
        case "EMPTY_TUPLE":
            stack.append(())
        case "LIST" | "FROZENSET":
            items = machine.since_mark()
            machine.stack.append(items)
        case "TUPLE":
            items = machine.since_mark()
            machine.stack.append(tuple(items))
        case "TUPLE1" | "TUPLE2" | "TUPLE3":
            n = int(name[-1])
            if len(stack) < n:
                raise IndexError
            stack[-n:] = [tuple(stack[-n:])]
        case "DICT":
            items = machine.since_mark()
            machine.stack.append({})
            machine.set_items(items)
        case "APPEND":
            machine.extend([stack.pop()])
        case "APPENDS" | "ADDITEMS":
            machine.extend(machine.since_mark())
        case "SETITEM":
            value, key = stack.pop(), stack.pop()
            machine.set_items([key, value])
        case "SETITEMS":
            machine.set_items(machine.since_mark())
        case "PUT" | "BINPUT" | "LONG_BINPUT":
            machine.memo[argument] = stack[-1]
        case "MEMOIZE":
            machine.memo[len(machine.memo)] = stack[-1]
        case "GET" | "BINGET" | "LONG_BINGET":
            stack.append(machine.memo[argument])
        case "GLOBAL":
            stack.append(machine.named(*argument.split(" ", 1)))
        case "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(machine.named(module, attribute))
        case "REDUCE" | "NEWOBJ":
            arguments, function = stack.pop(), stack.pop()
            stack.append(machine.call(function, arguments))
        case "BUILD":
            machine.build(stack.pop())
        case "BINPERSID":
            machine.stored.append(Stored(stack.pop()))
            stack.append(machine.stored[-1])
        case _:
            raise RefusedPickle(f"it uses {name}, which plain data do not need")


def first_bytes(file: BufferedReader, most: int) -> bytes:
    """Return at most so many bytes of an open file, in no more memory than it has bytes."""
    return file.read(min(most, os.fstat(file.fileno()).st_size))


def read_pickle(data: bytes, is_known: Callable[[Name], bool]) -> Pickle:
    """Return what a pickle at the start of these bytes holds.

    Parameters
    ----------
    data
        At most `MOST_BYTES`; more may follow the pickle.
    is_known
        Says whether a pickle may ask for a name; asked before anything else is read.

    Raises
    ------
    RefusedPickle
        If it is damaged, too large, asks for an unknown name, or does more than data need.
    """
    if len(data) > MOST_BYTES:
        raise RefusedPickle(f"it has {len(data) / 1e6:,.0f} MB, more than {MOST_BYTES / 1e6:,.0f}")
    machine, position = _Machine(is_known), 0
    try:
        for number, (opcode, argument, where) in enumerate(pickletools.genops(BytesIO(data))):
            if number >= MOST_OPCODES:
                raise RefusedPickle(f"it takes more than {MOST_OPCODES:,} steps")
            position = where or 0
            _step(machine, opcode.name, argument)
        content = machine.stack.pop()
    except RefusedPickle:
        raise
    except Exception as error:  # a damaged pickle can raise anything; none of it is swallowed
        raise RefusedPickle("it is damaged or cut off") from error
    return Pickle(content, frozenset(machine.names), machine.built, machine.stored, position + 1)
