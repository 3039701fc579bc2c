"""The commands that list what there is: ``datasets``, ``models`` and ``methods``."""

import pandas as pd

from rbcore.cli.options import Format, FormatOption, print_table
from rbcore.datasets import DATASETS, count_on_disk, known_folder
from rbcore.distances import METHODS
from rbcore.models import MODELS
from rbcore.runs.checkpoints import list_runs


def datasets(form: FormatOption = Format.table) -> None:
    """List the datasets: what they are, how many images are published, and what is on disk."""
    rows = []
    for spec in DATASETS.values():
        folder = known_folder(spec)
        rows.append(
            {
                "name": spec.name,
                "title": spec.title,
                "classes": "the folders" if spec.is_open else str(len(spec.classes)),
                "partitions": " ".join(spec.partitions)
                + (" + metadata.csv" if spec.is_open else ""),
                "size": spec.default_size,
                "train": "-" if spec.n_train is None else f"{spec.n_train:,}",
                "test": "-" if spec.n_test is None else f"{spec.n_test:,}",
                "on disk": count_on_disk(spec),
                "files": "-"
                if not spec.needs_folder
                else str(folder)
                if folder
                else "folder not set: --root",
                "runs": len(list_runs(spec.name)),
                "license": spec.license,
                "source": spec.source,
            }
        )
    print_table(pd.DataFrame(rows), form)


def models(form: FormatOption = Format.table) -> None:
    """List the models, their runs, and their parameters for color images of 10 classes."""
    rows = []
    for spec in MODELS.values():
        row = {
            "name": spec.name,
            "title": spec.title,
            "parameters": "-" if spec.n_parameters is None else f"{spec.n_parameters:,}",
            "at": f"{spec.usual_size} px",
        }
        rows.append({**row, "runs": len(list_runs(model=spec.name)), "layers": spec.description})
    print_table(pd.DataFrame(rows), form)


def methods(form: FormatOption = Format.table) -> None:
    """List the distance methods with their parameters, defaults and presets."""
    rows = [
        {
            "name": method.name,
            "bound": method.bound,
            "parameters": " ".join(f"{p.name}={p.default}" for p in method.parameters),
            "presets": " ".join(f"{method.name}:{preset}" for preset in method.presets),
            "description": method.description,
        }
        for method in METHODS.values()
    ]
    print_table(pd.DataFrame(rows), form)
