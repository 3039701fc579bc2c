"""What a dataset is opened with, declared once for notebooks, command line, jobs and forms."""

from dataclasses import MISSING, dataclass
from pathlib import Path

from rbcore.parameters import setting


@dataclass(frozen=True)
class DatasetRequest:
    """What a dataset is opened with; see `rbcore.datasets.load_dataset`.

    Attributes
    ----------
    name
        A registered name.
    root
        Folder of the original files; the one known where none is given.
    size
        Height and width in pixels; the dataset's default where none is given.
    seed
        Seed of the split, where none is published, and of the order of rows.
    validation
        Share of the training images set aside as a third split.
    checksum
        Whether files with published checksums must be those files; None for what was last said.
    download
        Whether published files that are missing are fetched.
    """

    name: str = setting(
        MISSING, "name of a dataset; see: python -m rbcore datasets", option="dataset"
    )
    root: Path | None = setting(None, "folder of the dataset's files; remembered for the next call")
    size: int | None = setting(None, "height and width in pixels")
    seed: int = setting(0, "seed of the split, the weights and the batches")
    validation: float = setting(
        0.0, "share of the training images set aside for choosing settings, as in 0.2"
    )
    checksum: bool | None = setting(
        None,
        "accept files that are not the published ones; remembered with the folder",
        option="no-checksum",
    )
    download: bool = setting(default=False, meaning="fetch published files that are missing")
