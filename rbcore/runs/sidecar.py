"""The sidecar of a checkpoint: what a run says of its data, its training and its results."""

from typing import Literal

from pydantic import ConfigDict, Field, field_validator

from rbcore.store import Numbers, Record, Settings

Step = Literal["attribute", "key", "item", "flatten", "float32", "two_classes"]


class EpochRecord(Record):
    """What one epoch of training gave; beside these fields, numbers of the mitigation's own.

    Attributes
    ----------
    epoch
        Counted from 1.
    train_loss, seconds
        Mean of the loss, and time.
    test_accuracy, validation_accuracy
        Afterwards; None for a split that there is not.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int | float | None] = Field(init=False)

    epoch: int
    train_loss: float
    seconds: float
    test_accuracy: float
    validation_accuracy: float | None = None

    @property
    def of_mitigation(self) -> Numbers:
        """Numbers of the mitigation's own."""
        return self.__pydantic_extra__


class RecipeFacts(Record):
    """The recipe of a training, as `rbcore.training.recipes.Recipe` declares it."""

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: str
    flip: bool
    shift: float


class ImportFacts(Record):
    """Where imported weights came from.

    Attributes
    ----------
    file_sha256
        Of the file.
    weights_key, outputs
        What was said of it; None where nothing was.
    """

    name: Literal["imported"]
    file_sha256: str
    weights_key: str | None = None
    outputs: str | None = None


class OutputsFacts(Record):
    """How a network's output is read as logits, as `rbcore.outputs.Reading` declares it."""

    steps: tuple[Step, ...]
    without: str
    takes_float64: bool
    n_outputs: int
    is_log_softmax: bool


class Sidecar(Record):
    """What stands beside the weights of one epoch.

    Attributes
    ----------
    dataset, dataset_fingerprint, size, seed, validation, input_shape, classes
        The data; the seed is the run's.
    model, builder_sha256, mean, std
        The network and its normalization; the hash of a builder of the user's own.
    run, recipe, weights, mitigation, mitigated_groups, n_epochs
        Name of the run, and how it was trained: recipe or origin, where it started, what was done
        about a bias, the hash of the groups that this depends on, and how many epochs it has.
    torch, python, device, start_weights, start_weights_sha256
        Environment of the training.
    epoch, created, sha256
        Which checkpoint it is, when it was written in UTC, and the hash of the weights' file.
    train_loss, seconds, train_accuracy, validation_accuracy, test_accuracy
        Results at this epoch; None for what was not measured.
    n_train, n_validation, n_test
        Images of each split; None for one that there is not.
    history
        All epochs until this one; empty for imported weights.
    outputs, notes, warning
        Of imported weights: how outputs are read, what was taken, what is to be feared.
    """

    dataset: str
    dataset_fingerprint: str
    size: int
    seed: int
    validation: float
    input_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    model: str
    builder_sha256: str | None = None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    run: str
    recipe: RecipeFacts | ImportFacts
    weights: str | None = None
    mitigation: Settings | None = None
    mitigated_groups: str | None = None
    n_epochs: int
    torch: str | None = None
    python: str | None = None
    device: str | None = None
    start_weights: str | None = None
    start_weights_sha256: str | None = None
    epoch: int
    created: str
    sha256: str
    train_loss: float | None = None
    seconds: float | None = None
    train_accuracy: float | None = None
    validation_accuracy: float | None = None
    test_accuracy: float
    n_train: int | None = None
    n_validation: int | None = None
    n_test: int
    history: tuple[EpochRecord, ...] = ()
    outputs: OutputsFacts | None = None
    notes: tuple[str, ...] = ()
    warning: str = ""

    @field_validator("mitigation")
    @classmethod
    def _names_its_kind(cls, settings: Settings | None) -> Settings | None:
        if settings is not None and not isinstance(settings.get("kind"), str):
            raise ValueError
        return settings

    def n_of(self, split: str) -> int:
        """Return how many images a split has; 0 for one that there is not."""
        counts = {"train": self.n_train, "validation": self.n_validation, "test": self.n_test}
        return counts.get(split) or 0

    @property
    def is_imported(self) -> bool:
        """Whether the weights were imported and not trained here."""
        return isinstance(self.recipe, ImportFacts)
