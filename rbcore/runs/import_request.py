"""Which weights of others to make a run of, and what they are; it needs no torch."""

from dataclasses import MISSING, dataclass
from pathlib import Path

from rbcore.datasets.reading.opening import user_path
from rbcore.errors import CheckpointError
from rbcore.parameters import parse_numbers, setting


@dataclass(frozen=True)
class ImportRequest:
    """Which weights to make a run of, and what they are.

    Attributes
    ----------
    model
        A registered builder.
    file
        Safetensors or a PyTorch state dict; see `rbcore.runs.foreign_weights`.
    run
        Name of the run; the file's own name where none is given.
    mean, std
        The normalization they were trained with, one value a channel in units of [0, 1], as numbers
        or as text (``.485,.456,.406``); the dataset's where none is given.
    weights_key
        Which set of weights, where the file holds several, as in ``model_ema``; the first that fits
        where none is given.
    outputs
        ``logits`` or ``probabilities``, where the outputs alone leave that open; None to find out.
    """

    model: str = setting(MISSING, "name of a model; see: python -m rbcore models", option="model")
    file: Path = setting(MISSING, "safetensors or a PyTorch state dict", option="file")
    run: str | None = setting(None, "name of the run; the file's own by default")
    mean: tuple[float, ...] | None = setting(
        None, "normalization they were trained with, as in .485,.456,.406"
    )
    std: tuple[float, ...] | None = setting(None, "the same for the standard deviation")
    weights_key: str | None = setting(
        None, "which set of weights, if the file has several, as in model_ema"
    )
    outputs: str | None = setting(None, "logits or probabilities, if the outputs do not tell")

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", user_path(self.file))
        for name in ("mean", "std"):
            value = getattr(self, name)
            if isinstance(value, str):
                numbers = parse_numbers(value, f"--{name}", CheckpointError)
                object.__setattr__(self, name, numbers or None)
