"""Made-up records of stored tables, for tests of what reads and writes them."""

import json
from pathlib import Path

from rbcore.norms import Norm
from rbcore.store import Computed, Provenance, TableKey
from rbcore.store.records import read_content, sealed, unsealed


def content_of(path: Path) -> dict[str, object]:
    """What a file of JSON says, without seal and format."""
    return unsealed(path, read_content(path))


def write_sealed(path: Path, content: dict[str, object]) -> None:
    """Write whatever it is with a seal that holds, as somebody who knows how could."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(sealed(content)))


def table_key(**changes: object) -> TableKey:
    facts = {
        "weights": "w",
        "dataset": "d",
        "split": "test",
        "method": "deepfool",
        "version": 2,
        "parameters": {"steps": 50, "overshoot": 0.02},
        "norm": Norm.L2,
    }
    return TableKey(**(facts | changes))


def computed(**changes: object) -> Computed:
    facts = {
        "device": "cpu",
        "threads": 1,
        "dtype": "float32",
        "batch_size": 128,
        "python": "3.11.7",
        "torch": "2.13.0",
        "foolbox": "3.3.4",
        "numpy": "2.4.6",
        "pandas": "3.1.1",
        "rows": 2,
        "seconds": 1.5,
        "n_forward": 20,
        "n_backward": 10,
    }
    return Computed(**(facts | changes))


def provenance(**changes: object) -> Provenance:
    facts = {
        "dataset": "digits",
        "size": 8,
        "seed": 0,
        "model": "small_cnn",
        "run": "r",
        "epoch": 1,
        "attributes": {},
        "computed": (computed(),),
    }
    return Provenance(**(facts | changes))
