"""The commands that make and check tables of distances: ``estimate`` and ``verify``.

Many machines can share one estimate by `rbcore.distances.estimate.estimate_rows`.
"""

from typing import Annotated, Any

import pandas as pd
import typer

from rbcore import sampling, wording
from rbcore.cli.options import (
    Builder,
    Device,
    Format,
    FormatOption,
    MethodChoice,
    NoChecksum,
    RunChoice,
    options_from_records,
    print_table,
    progress_bar,
    use_builder,
)
from rbcore.datasets import DATASETS, known_folder, remember_check
from rbcore.measures.tables import Status
from rbcore.runs.checkpoints import find_run
from rbcore.sampling import Rows

BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", help="Images per pass; tuned by measurement by default."),
]


@options_from_records
def estimate(
    wanted: RunChoice,
    method: MethodChoice,
    rows: Rows,
    batch_size: BatchSize = None,
    no_checksum: NoChecksum = False,
    builder: Builder = None,
    device: Device = "auto",
    form: FormatOption = Format.table,
) -> None:
    """Estimate distances to the decision boundary and store them.

    Print what was found for each epoch.
    """
    from rbcore.distances.cost import estimate_cost
    from rbcore.distances.estimate import estimate_distances
    from rbcore.runs.loading import load_model, open_run

    parameters: dict[str, Any] = method.parameters
    use_builder(builder, wanted.model)
    spec = DATASETS[wanted.dataset]
    find_run(
        *(wanted.dataset, wanted.model, wanted.run),
        root=str(wanted.root) if wanted.root else None,
        no_checksum=no_checksum,
        builder=str(builder) if builder else None,
        device=None if device == "auto" else device,
    )
    folder = wanted.root or known_folder(spec)
    if no_checksum and folder is not None:
        remember_check(spec, folder, False)
    with progress_bar() as progress:
        dataset, run = open_run(
            wanted.dataset, wanted.model, run=wanted.run, root=wanted.root, progress=progress
        )
    summaries = []
    for epoch in wanted.epochs(run):
        model = load_model(wanted.model, dataset, epoch=epoch, run=run.name, device=device)
        cost = estimate_cost(model, dataset, method.method, rows, **parameters)
        if cost is not None and cost.n_images:
            typer.echo(
                f"epoch {epoch}: up to {cost.n_images:,} images x {cost.passes:,} passes, about "
                f"{cost.seconds / 60:,.1f} minutes.",
                err=True,
            )
        with progress_bar() as progress:
            table = estimate_distances(
                *(model, dataset, method.method, rows),
                batch_size=batch_size,
                progress=progress,
                **parameters,
            )
        correct = table.loc[table["is_correct"], "distance"]
        n_fallback = int((table["status"] == Status.FALLBACK).sum())
        warning = wording.fallback_warning(n_fallback, len(correct))
        if warning:
            typer.echo(f"epoch {epoch}: {warning}", err=True)
        counts = table["status"].value_counts().to_dict()
        summaries.append(
            {
                "run": run.name,
                "epoch": epoch,
                "n": len(table),
                "accuracy": sampling.share_correct(table),
                "mean_distance": correct.mean(),
                "median_distance": correct.median(),
                "status": " ".join(f"{name}={count}" for name, count in sorted(counts.items())),
            }
        )
    print_table(pd.DataFrame(summaries), form)


def verify(
    rows: Annotated[
        int, typer.Option("--rows", min=0, help="Rows of each table to recompute.")
    ] = 5,
    form: FormatOption = Format.table,
) -> None:
    """Check every cached table against its key and checksum, and recompute some rows.

    Exit with 1 if a table fails.
    """
    from rbcore.store.verify import verify as check

    with progress_bar() as progress:
        findings = check(rows=rows, progress=progress)
    print_table(findings, form)
    if not findings["ok"].all():
        raise typer.Exit(1)
