"""Which tensors of a foreign file belong to which of a network's, and whether they fit."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from rbcore.errors import CheckpointError
from rbcore.runs.imagenet import OLD_DENSE_LAYER

PREFERRED = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
"""Keys of the sets that are read first where several fit: those of the network itself, and not of
an average of it.
"""
FEW = 5
LONGEST_NAME = 80
"""Characters of a tensor's name that a sentence shows."""


@dataclass(frozen=True)
class Weights:
    """The tensors of a file under the network's own names, and how they were found."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Match:
    """One set with the prefix ``theirs`` taken off its names and ``ours`` put before them."""

    key: str
    theirs: str
    ours: str
    tensors: dict[str, Tensor]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return not self.missing and not self.unexpected

    @property
    def faults(self) -> int:
        return len(self.missing) + len(self.unexpected)


def choose_weights(
    sets: dict[str, dict[str, Tensor]],
    network: nn.Module,
    path: Path,
    model: str,
    key: str | None = None,
) -> Weights:
    """Return the set of weights that fits a network by its names.

    A common prefix is taken off or put before them.

    Parameters
    ----------
    sets
        As `rbcore.runs.foreign_weights.read_weights` returns them.
    network
        Without its normalization.
    key
        Which set; the first that fits where none is given, and the choice is said.

    Raises
    ------
    CheckpointError
        If there is no such set, or the chosen one lacks tensors or holds others;
        the text names them.
    """
    own = list(network.state_dict())
    matches = [match for name, tensors in sets.items() for match in _matches(name, tensors, own)]
    fitting: dict[str, _Match] = {}
    for match in matches:
        if match.fits:
            fitting.setdefault(match.key, match)
    names = list(dict.fromkeys([*sets, *fitting]))
    if key is not None and key not in names:
        raise CheckpointError(
            f"{path} holds no weights under {key!r}, only under "
            f"{_some([repr(name) for name in names])}; choose one of these."
        )
    if key is not None:
        matches = [match for match in matches if match.key == key]
        fitting = {name: match for name, match in fitting.items() if name == key}
    if not fitting:
        nearest = min(matches, key=lambda match: match.faults)
        raise CheckpointError(_misfit(nearest, own, path, model))
    chosen = min(fitting.values(), key=lambda match: _rank(match.key))
    notes = []
    others: list[str] = []
    for name, match in fitting.items():
        if not any(_same(match.tensors, fitting[known].tensors) for known in [chosen.key, *others]):
            others.append(name)
    if others:
        notes.append(
            f"Read {_spelled(chosen.key)}; the file also holds "
            f"{_some([_spelled(name) for name in others])} that fits: choose by --weights-key."
        )
    elif chosen.key:
        notes.append(f"Read {_spelled(chosen.key)}.")
    if chosen.theirs or chosen.ours:
        taken = [f"{chosen.theirs!r} taken off"] if chosen.theirs else []
        taken += [f"{chosen.ours!r} put before them"] if chosen.ours else []
        notes.append(f"Names of tensors fit with {' and '.join(taken)}.")
    return Weights(chosen.tensors, tuple(notes))


def _matches(key: str, tensors: dict[str, Tensor], own: list[str]) -> Iterator[_Match]:
    """Yield how a set fits, for every prefix that can be taken off or put before its names."""
    is_dense = any(
        OLD_DENSE_LAYER.sub(r"\1\2", name) in own
        for name in tensors
        if OLD_DENSE_LAYER.search(name)
    )
    for ours in _common_prefixes(own):
        wanted = [name.removeprefix(ours) for name in own]
        first = wanted[0]
        theirs = [
            name.removesuffix(first)
            for name in tensors
            if name == first or name.endswith(f".{first}")
        ]
        for prefix in dict.fromkeys(
            ["", *theirs, *_common_prefixes(list(tensors))]
        ):  # in the order of the file
            renamed = {
                name.removeprefix(prefix): tensor
                for name, tensor in tensors.items()
                if name.startswith(prefix)
            }
            if is_dense or ours:
                renamed = {
                    OLD_DENSE_LAYER.sub(r"\1\2", name): tensor for name, tensor in renamed.items()
                }
            missing = [
                name
                for name in wanted
                if name not in renamed and not name.endswith("num_batches_tracked")
            ]
            unexpected = [name for name in renamed if name not in set(wanted)]
            is_part = len(renamed) < len(tensors)
            named = ".".join(filter(None, [key, prefix.rstrip(".")])) if is_part else key
            ready = {ours + name: tensor for name, tensor in renamed.items()}
            match = _Match(named, prefix, ours, ready, tuple(missing), tuple(unexpected))
            if match.fits or not is_part:
                yield match


def _common_prefixes(names: list[str]) -> list[str]:
    """Return every dotted prefix that all names share, the empty one first."""
    parts = names[0].split(".")[:-1] if names else []
    prefixes = [".".join(parts[:n]) + "." for n in range(1, len(parts) + 1)]
    return ["", *(prefix for prefix in prefixes if all(name.startswith(prefix) for name in names))]


def _rank(key: str) -> int:
    last = key.rpartition(".")[2]
    return PREFERRED.index(last) if last in PREFERRED else -1 if not key else len(PREFERRED)


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name] is other[name]
        or (
            not _odd_kind(one[name], other[name])
            and not _odd_kind(other[name], one[name])
            and one[name].equal(other[name])
        )
        for name in one
    )


def _spelled(key: str) -> str:
    return repr(key) if key else "the tensors at the top"


def _misfit(nearest: _Match, own: list[str], path: Path, model: str) -> str:
    found = len(own) - len(nearest.missing)
    where = f" under {nearest.key!r}" if nearest.key else ""
    faults = [f"lacks {_some(list(nearest.missing))}"] if nearest.missing else []
    faults += [f"holds {_some(list(nearest.unexpected))} besides"] if nearest.unexpected else []
    remedy = (
        (
            f"{found} of {len(own)} tensors do fit, so this may be the right architecture: rename "
            "or remove these in the file"
        )
        if 2 * found >= len(own)
        else "Choose the architecture they were trained with"
    )
    return f"{path}{where} does not fit {model}: it {' and '.join(faults)}. {remedy}."


def _some(names: list[str]) -> str:
    rest = len(names) - FEW
    shown = [
        name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..." for name in names[:FEW]
    ]
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def has_one_logit(network: nn.Module, tensors: dict[str, Tensor]) -> bool:
    """Whether the tensors are those of the network but with one logit instead of two."""
    own = network.state_dict()
    other = [
        name for name, tensor in tensors.items() if name in own and tensor.shape != own[name].shape
    ]
    return bool(other) and all(
        tensors[name].dim() > 0
        and tensors[name].shape == (1, *own[name].shape[1:])
        and own[name].shape[0] == 2
        for name in other
    )


def fit_state_dict(network: nn.Module, tensors: dict[str, Tensor], path: Path, model: str) -> None:
    """Load tensors under a network's own names into it; its normalization is not part of it.

    Raises
    ------
    CheckpointError
        If a tensor is not an ordinary tensor of floats, or has another shape; a different number of
        classes is said as such.
    """
    own = network.state_dict()
    for name, tensor in tensors.items():
        kind = _odd_kind(tensor, own[name])
        if kind:
            raise CheckpointError(
                f"{path} holds {name} as a tensor that is {kind}; save the weights as ordinary "
                "tensors of floats."
            )
        if tensor.shape != own[name].shape:
            last = list(own)[-1]
            is_head = tensor.dim() > 0 and (name == last or own[name].shape[1:] == tensor.shape[1:])
            reason = (
                f"it has {tensor.shape[0]} classes, the dataset {own[name].shape[0]}"
                if is_head and name.rsplit(".", 1)[0] == last.rsplit(".", 1)[0]
                else (
                    f"the shape of {name} is {tuple(tensor.shape)} instead of "
                    f"{tuple(own[name].shape)}"
                )
            )
            raise CheckpointError(f"{path} does not fit {model}: {reason}.")
    network.load_state_dict(tensors, strict=False)


def _odd_kind(tensor: Tensor, own: Tensor) -> str:
    """Say what keeps a tensor from being a weight; nothing where it can be one."""
    kinds = {
        "nested": tensor.is_nested,
        "meta, without any numbers": tensor.is_meta,
        "quantized": tensor.is_quantized,
        "sparse": tensor.layout != torch.strided,
        "complex": tensor.is_complex(),
        f"of the type {str(tensor.dtype).removeprefix('torch.')}": own.is_floating_point()
        and not tensor.is_floating_point(),
    }
    return next((kind for kind, is_so in kinds.items() if is_so), "")
