"""What our attack costs as images and classes grow: processor time a sample and peak memory, each point in a process of its own.

    python -m benchmarks.growth --cifar FOLDER --weights FILE

Writes growth.md and growth.svg beside this file. ResNet-20 on CIFAR-10's test images. For 100
classes the last layer gets 90 more rows, each a trained row with its entries shuffled: the same
body at the same cost, with more classes to look at. Where fewer test images are at hand than asked
for, they are repeated with noise of at most 1/255 drawn by the row's number. What counts as the
label is the network's own prediction, so that every image is attacked. Peak memory is read from
Linux's /proc; elsewhere it is missing.
"""

import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import altair as alt
import numpy as np
import pandas as pd
import torch
import typer
from torch import nn

from benchmarks.distances import CACHE, command, load_cifar_network, machine
from rbcore.distances import resolve_method
from rbcore.distances.batching import in_batches
from rbcore.distances.engine import Engine
from rbcore.distances.samples import Samples

SIZES = (256, 512, 1024, 2048)
CLASSES = (10, 100)
METHODS = "minimal:fast,minimal"
HERE = Path(__file__).parent
MEGABYTE = 1e6


def widened(network: nn.Module, n_classes: int) -> nn.Module:
    """Give ResNet-20's last layer more rows, each a trained one with its entries shuffled.

    The first ones stay.
    """
    old = network.get_submodule("network.linear")
    assert isinstance(old, nn.Linear)  # noqa: S101  (this is about our own model)
    random = np.random.default_rng(0)
    weight, bias = old.weight.detach().numpy(), old.bias.detach().numpy()
    which = random.integers(len(weight), size=n_classes - len(weight))
    more = (
        np.stack([random.permutation(weight[row]) for row in which]) if len(which) else weight[:0]
    )
    new = nn.Linear(old.in_features, n_classes)
    new.load_state_dict(
        {
            "weight": torch.as_tensor(np.concatenate([weight, more])),
            "bias": torch.as_tensor(np.concatenate([bias, bias[which]])),
        }
    )
    network.get_submodule("network").linear = new
    return network.eval()


def pixels_of(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return images by row number.

    A row beyond the last image is an earlier one with noise of at most 1/255.
    """
    chosen = images[rows % len(images)].copy()
    for place, row in enumerate(rows):
        if row >= len(images):
            noise = (
                np.random.default_rng(row)
                .uniform(-1 / 255, 1 / 255, chosen.shape[1:])
                .astype(np.float32)
            )
            chosen[place] = (chosen[place] + noise).clip(0, 1)
    return chosen


def peak_bytes(*, reset: bool = False) -> float:
    """Return the most memory this process has held since the last reset.

    NaN where Linux's /proc is not there.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return 1024.0 * int(line.split()[1])


def measure(
    cifar: Path, weights: Path, spelled: str, n: int, n_classes: int, batch: int
) -> dict[str, float]:
    """Estimate n distances in this process, keeping nothing of them but their sum.

    Return seconds and bytes.
    """
    data, network = load_cifar_network(cifar, weights)
    images = data.pixels(data.rows("test"))
    network = widened(network, n_classes)
    rows = np.arange(n)
    with torch.no_grad():
        parts = [
            network(torch.as_tensor(pixels_of(images, part))).argmax(1)
            for part in in_batches(rows, batch)
        ]
    labels = torch.cat(parts).numpy()
    method, parameters = resolve_method(spelled)
    fallback_targets = rows[: min(n, SIZES[0])]
    engine = Engine(
        network,
        Samples(
            lambda which: pixels_of(images, which), labels, fallback_targets, np.arange(len(labels))
        ),
        method,
        parameters,
        batch_size=batch,
    )
    engine.estimate(rows[:8])  # torch's own start
    engine.network.take_counts()
    before = peak_bytes(reset=True)
    n_found, started = 0, time.process_time()  # a shared machine's other work is not ours
    for part in in_batches(rows, engine.rows_a_batch):
        n_found += int((engine.estimate(part).status == "found").sum())
    seconds = time.process_time() - started
    passes = {name: count / n for name, count in engine.network.take_counts().items()}
    return {
        "seconds": seconds,
        "before": before,
        "peak": peak_bytes(),
        "found": n_found / n,
        **passes,
    }


def in_own_process(arguments: dict[str, object], cache: Path) -> dict[str, float]:
    """Run `measure` in a new process."""
    flags = [text for name, value in arguments.items() for text in (f"--{name}", str(value))]
    environment = {**os.environ, "RBCORE_CACHE": str(cache)}
    call = [sys.executable, "-m", "benchmarks.growth", *flags]
    done = subprocess.run(call, capture_output=True, text=True, env=environment, cwd=HERE.parent)
    if done.returncode:
        raise RuntimeError(f"{call} failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def slope(rows: pd.DataFrame) -> float:
    """Return the slope of log seconds on log n by least squares: 1 where cost grows linearly."""
    return float(np.polyfit(np.log(rows["n"]), np.log(rows["seconds"]), 1)[0])


def report(table: pd.DataFrame) -> str:
    """Return the points and the slopes in Markdown."""
    lines = [
        (
            "| method | classes | n | processor s | ms a sample | forward, backward a sample | "
            "found | peak MB | of it by the estimate |"
        ),
        "|" + "---|" * 9,
    ]
    lines += [
        (
            f"| {row.method} | {row.classes} | {row.n} | {row.seconds:.1f} | "
            f"{1000 * row.seconds / row.n:.1f} | {row.n_forward:.1f}, {row.n_backward:.1f} | "
            f"{row.found:.1%} | {row.peak / MEGABYTE:.0f} | "
            f"{(row.peak - row.before) / MEGABYTE:.0f} |"
        )
        for row in table.itertuples()
    ]
    lines += [
        "",
        "| method | classes | slope of log time on log n | peak memory, largest over smallest n |",
        "|---|---|---|---|",
    ]
    for (method, classes), rows in table.groupby(["method", "classes"], sort=False):
        peaks = rows.set_index("n")["peak"]
        growth = peaks[peaks.index.max()] / peaks[peaks.index.min()]
        lines.append(f"| {method} | {classes} | {slope(rows):.3f} | {growth:.3f} |")
    return "\n".join(lines)


def figure(table: pd.DataFrame) -> alt.HConcatChart:
    """Draw time a sample and peak memory against n, one line a method and number of classes."""
    table = table.assign(
        milliseconds=1000 * table["seconds"] / table["n"],
        megabytes=table["peak"] / MEGABYTE,
        classes=table["classes"].astype(str) + " classes",
    )
    sizes = sorted(set(table["n"]))
    x = alt.X(
        "n:Q",
        title="images",
        scale=alt.Scale(type="log", base=2),
        axis=alt.Axis(values=sizes, format="d"),
    )
    colors = alt.Scale(range=["#0072B2", "#D55E00", "#009E73", "#CC79A7"])
    base = alt.Chart(table).encode(
        x=x,
        color=alt.Color("method:N", scale=colors),
        strokeDash=alt.StrokeDash("classes:N", legend=alt.Legend(symbolType="stroke")),
    )
    panels = []
    for column, title in (("milliseconds", "time a sample, ms"), ("megabytes", "peak memory, MB")):
        y = alt.Y(f"{column}:Q", title=title, scale=alt.Scale(domainMin=0))
        lines = base.mark_line(point=True).encode(y=y)
        panels.append(lines.properties(width=280, height=240, title=title))
    return alt.hconcat(*panels)


def main(
    cifar: Annotated[
        Path,
        typer.Option(help="Folder of CIFAR-10 in the official layout; its checksums are waived."),
    ],
    weights: Annotated[Path, typer.Option(help="State dict of ResNet-20, resnet20-12fca82f.th.")],
    sizes: Annotated[str, typer.Option(help="Numbers of images.")] = ",".join(map(str, SIZES)),
    classes: Annotated[str, typer.Option(help="Numbers of classes, from 10.")] = ",".join(
        map(str, CLASSES)
    ),
    methods: Annotated[str, typer.Option(help="Methods, as they are spelled.")] = METHODS,
    repeats: Annotated[int, typer.Option(help="Processes a point, in turns; medians count.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 2,
    batch: Annotated[int, typer.Option(help="Images a pass.")] = 64,
    cache: Annotated[Path, typer.Option(help="Folder for the imported run.")] = CACHE,
    out: Annotated[Path, typer.Option(help="Folder for growth.md and growth.svg.")] = HERE,
    point: Annotated[
        str | None,
        typer.Option(hidden=True, help="One method,n,classes: measure it in this process."),
    ] = None,
) -> None:
    """Measure every point, print and write the table and the figure."""
    torch.set_num_threads(threads)
    if point is not None:
        spelled, n, n_classes = point.split(",")
        print(json.dumps(measure(cifar, weights, spelled, int(n), int(n_classes), batch)))
        return
    points = [
        (method, n_classes, n)
        for n in map(int, sizes.split(","))
        for n_classes in map(int, classes.split(","))
        for method in methods.split(",")
    ]
    os.environ["RBCORE_CACHE"] = str(cache)
    data, _ = load_cifar_network(cifar, weights)  # imported once, before the processes that measure
    n_at_hand = len(data.rows("test"))
    found = []
    for _ in range(repeats):
        for method, n_classes, n in points:
            arguments = {
                "cifar": cifar.resolve(),
                "weights": weights.resolve(),
                "threads": threads,
                "batch": batch,
            }
            result = in_own_process({**arguments, "point": f"{method},{n},{n_classes}"}, cache)
            found.append({"method": method, "classes": n_classes, "n": n, **result})
            print(
                f"{method}, {n_classes} classes, {n} images: {result['seconds']:.1f} s",
                file=sys.stderr,
                flush=True,
            )
    table = (
        pd.DataFrame(found).groupby(["method", "classes", "n"], sort=False).median().reset_index()
    )
    table = table.sort_values(["method", "classes", "n"], ignore_index=True)
    heading = (
        f"{datetime.date.today().isoformat()}, `{command()}`, {machine()}; passes of {batch} "
        f"images, {repeats} run(s) a point. {n_at_hand:,} test images at hand, repeated with "
        "noise of at most 1/255 beyond that; with more than 10 classes the further rows of the "
        "last layer are shuffled ones; the network's own predictions count as labels."
    )
    text = f"{heading}\n\n{report(table)}\n"
    print(text)
    (out / "growth.md").write_text(text, encoding="utf-8")
    figure(table).save(out / "growth.svg")


if __name__ == "__main__":
    typer.run(main)
