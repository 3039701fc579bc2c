"""Our own command line as text to be typed, quoted for the shell."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rbcore.runs.sidecar import Sidecar
from rbcore.sampling import Rows
from rbcore.training.mitigations import mitigation_of

ALL_ROWS = Rows()
Option = str | int | float | bool | Sequence[str] | None


def command(name: str, *arguments: object, **options: Option) -> str:
    """Return ``python -m rbcore NAME ARGUMENTS OPTIONS`` as a shell takes it.

    Parameters
    ----------
    name, arguments
        The command and what stands before the options, in this order.
    **options
        Of the command, ``tau_max`` for ``--tau-max``. None, False and an empty list are left out,
        True is the option alone, and a list repeats it.
    """
    words = ["python", "-m", "rbcore", name, *map(str, arguments)]
    for option, value in options.items():
        spelled = f"--{option.replace('_', '-')}"
        if isinstance(value, bool):
            words += [spelled] if value else []
        elif isinstance(value, list | tuple):
            words += [word for entry in value for word in (spelled, str(entry))]
        elif value is not None:
            words += [spelled, f"{value:.15g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)


def train_command(facts: Sidecar) -> str:
    """Return the command that trains a run again, or imports its weights, from its sidecar's facts.

    FILE stands for a file of weights.
    """
    shared: dict[str, Option] = {"size": facts.size, "seed": facts.seed, "run": facts.run}
    if facts.is_imported:
        mean, std = (",".join(f"{value:.9g}" for value in k) for k in (facts.mean, facts.std))
        return command("import", facts.dataset, facts.model, "FILE", mean=mean, std=std, **shared)
    weights = None if facts.weights == "none" else facts.weights
    return command(
        "train",
        facts.dataset,
        facts.model,
        recipe=facts.recipe.name,
        epochs=facts.n_epochs,
        **shared,
        weights=weights,
        validation=facts.validation or None,
        **(mitigation_of(facts.mitigation).options() if facts.mitigation else {}),
    )


def bias_command(dataset: str, model: str, method: str, **options: Option) -> str:
    """Return the command that prints the bias of stored distances by a method as it is spelled."""
    name, settings = method_words(method)
    return command("bias", dataset, model, name, set=settings, **options)


def estimate_command(
    dataset: str,
    model: str,
    method: str,
    parameters: Mapping[str, object] | None = None,
    *,
    epoch: str | int,
    run: str,
    rows: Rows = ALL_ROWS,
) -> str:
    """Return the command that computes a run's distances, with what differs from the defaults.

    Parameters
    ----------
    method
        As it is spelled; ``deepfool:paper overshoot=0.1`` becomes the method and its setting.
    parameters
        Further settings of the method.
    rows
        Which images.
    """
    name, settings = method_words(method, parameters)
    which = {k: v for k, v in asdict(rows).items() if v != getattr(ALL_ROWS, k)}
    return command(*("estimate", dataset, model, name), set=settings, epoch=epoch, run=run, **which)


def method_words(
    method: str, parameters: Mapping[str, object] | None = None
) -> tuple[str, list[str]]:
    """Return a method's name and its settings, ``NAME=VALUE`` each, those given last."""
    name, *spelled = method.split()
    return name, [*spelled, *(f"{key}={value}" for key, value in (parameters or {}).items())]


def spelled(method: str, parameters: Mapping[str, object]) -> str:
    """Return a method with further settings as one text: ``minimal steps=20``."""
    name, settings = method_words(method, parameters)
    return " ".join([name, *settings])
