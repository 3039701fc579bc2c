"""What our attack costs as images and classes grow: processor time a sample and peak memory.

    python -m benchmarks.growth --cifar FOLDER --weights FILE

Each point in a process of its own; the report draws growth.svg in the folder of results. ResNet-20
on CIFAR-10's test images. For 100 classes the last layer gets 90 more rows, each a trained row with
its entries shuffled: the same body at the same cost, with more classes to look at. Where fewer test
images are at hand than asked for, they are repeated with noise of at most 1/255 drawn by the row's
number. What counts as the label is the network's own prediction, so that every image is attacked.
Peak memory is read from Linux's /proc; elsewhere it is missing.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import altair as alt
import numpy as np
import pandas as pd
import torch
import typer
from torch import nn

from benchmarks.results import FOLDER, Results, as_table, memory, save, say
from benchmarks.subjects import CACHE, Cifar, Threads, Weights, engine_for, load_cifar_network
from rbcore.charts.legend import COLORS
from rbcore.cli.options import options_from_records
from rbcore.distances.batching import in_batches

SIZES = (256, 512, 1024, 2048)
CLASSES = (10, 100)
METHODS = "minimal:fast,minimal"
HERE = Path(__file__).parent


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


def reset_peak() -> float:
    """Begin to count the peak memory of this process anew, and return what it holds, in MB."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")
    return memory("VmHWM")


def measure(
    cifar: Path, weights: Path, spelled: str, n: int, n_classes: int, batch: int
) -> dict[str, float]:
    """Estimate n distances in this process, keeping nothing of them but their sum.

    Return processor seconds and MB.
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
    options = {"targets": rows[: min(n, SIZES[0])], "batch_size": batch}
    engine = engine_for(network, partial(pixels_of, images), labels, spelled, **options)
    engine.estimate(rows[:8])  # torch's own start
    engine.network.take_counts()
    before = reset_peak()
    n_found, started = 0, time.process_time()  # a shared machine's other work is not ours
    for part in in_batches(rows, engine.rows_a_batch):
        n_found += int((engine.estimate(part).status == "found").sum())
    seconds = time.process_time() - started
    passes = {name: count / n for name, count in engine.network.take_counts().items()}
    return {
        "seconds": seconds,
        "before": before,
        "peak": memory("VmHWM"),
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


def report(results: Results) -> str:
    """Return the points and the slopes in Markdown, and draw the figure beside the results."""
    table = pd.DataFrame(results.tables["points"])
    points = [
        {
            "method": row.method,
            "classes": row.classes,
            "n": row.n,
            "processor s": row.seconds,
            "ms a sample": 1000 * row.seconds / row.n,
            "forward, backward a sample": f"{row.n_forward:.1f}, {row.n_backward:.1f}",
            "found": row.found,
            "peak MB": row.peak,
            "of it by the estimate": row.peak - row.before,
        }
        for row in table.itertuples()
    ]
    forms = {"processor s": ".1f", "ms a sample": ".1f", "found": ".1%"}
    forms |= {"peak MB": ".0f", "of it by the estimate": ".0f"}
    slopes = []
    for (method, classes), rows in table.groupby(["method", "classes"], sort=False):
        peaks = rows.set_index("n")["peak"]
        growth = peaks[peaks.index.max()] / peaks[peaks.index.min()]
        own = {"method": method, "classes": classes, "slope of log time on log n": slope(rows)}
        slopes.append({**own, "peak memory, largest over smallest n": growth})
    ends = dict.fromkeys(slopes[0], ".3f") | {"method": "", "classes": ""}
    figure(table).save(FOLDER / "growth.svg")
    heading = (
        f"{results.heading} Passes of {results.facts['batch']} images, "
        f"{results.facts['repeats']} run(s) a point. {results.facts['at_hand']:,} test images at "
        "hand, repeated with noise of at most 1/255 beyond that; with more than 10 classes the "
        "further rows of the last layer are shuffled ones; the network's own predictions count as "
        "labels."
    )
    return "\n\n".join([heading, as_table(points, forms), as_table(slopes, ends)])


def figure(table: pd.DataFrame) -> alt.HConcatChart:
    """Draw time a sample and peak memory against n, one line a method and number of classes."""
    table = table.assign(
        milliseconds=1000 * table["seconds"] / table["n"],
        classes=table["classes"].astype(str) + " classes",
    )
    sizes = sorted(set(table["n"]))
    x = alt.X(
        "n:Q",
        title="images",
        scale=alt.Scale(type="log", base=2),
        axis=alt.Axis(values=sizes, format="d"),
    )
    colors = alt.Scale(range=list(COLORS[:4]))
    base = alt.Chart(table).encode(
        x=x,
        color=alt.Color("method:N", scale=colors),
        strokeDash=alt.StrokeDash("classes:N", legend=alt.Legend(symbolType="stroke")),
    )
    panels = []
    for column, title in (("milliseconds", "time a sample, ms"), ("peak", "peak memory, MB")):
        y = alt.Y(f"{column}:Q", title=title, scale=alt.Scale(domainMin=0))
        lines = base.mark_line(point=True).encode(y=y)
        panels.append(lines.properties(width=280, height=240, title=title))
    return alt.hconcat(*panels)


@dataclass(frozen=True)
class Points:
    """The points of the figure: every size with every number of classes and every method."""

    sizes: Annotated[str, typer.Option(help="Numbers of images.")] = ",".join(map(str, SIZES))
    classes: Annotated[str, typer.Option(help="Numbers of classes, from 10.")] = ",".join(
        map(str, CLASSES)
    )
    methods: Annotated[str, typer.Option(help="Methods, as they are spelled.")] = METHODS

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        """Yield method, number of classes and number of images of each."""
        for n in map(int, self.sizes.split(",")):
            for n_classes in map(int, self.classes.split(",")):
                for method in self.methods.split(","):
                    yield method, n_classes, n


def main(
    cifar: Cifar,
    weights: Weights,
    points: Points,
    repeats: Annotated[int, typer.Option(help="Processes a point, in turns; medians count.")] = 1,
    threads: Threads = 2,
    batch: Annotated[int, typer.Option(help="Images a pass.")] = 64,
    cache: Annotated[Path, typer.Option(help="Folder for the imported run.")] = CACHE,
    point: Annotated[
        str | None,
        typer.Option(hidden=True, help="One method,n,classes: measure it in this process."),
    ] = None,
) -> None:
    """Measure every point."""
    torch.set_num_threads(threads)
    if point is not None:
        spelled, n, n_classes = point.split(",")
        print(json.dumps(measure(cifar, weights, spelled, int(n), int(n_classes), batch)))
        return
    os.environ["RBCORE_CACHE"] = str(cache)
    data, _ = load_cifar_network(cifar, weights)  # imported once, before the processes that measure
    arguments = {"cifar": cifar.resolve(), "weights": weights.resolve()}
    arguments |= {"threads": threads, "batch": batch}
    found = []
    for _ in range(repeats):
        for method, n_classes, n in points:
            result = in_own_process({**arguments, "point": f"{method},{n},{n_classes}"}, cache)
            found.append({"method": method, "classes": n_classes, "n": n, **result})
            say(f"{method}, {n_classes} classes, {n} images: {result['seconds']:.1f} s")
    medians = pd.DataFrame(found).groupby(["method", "classes", "n"], sort=False).median()
    table = medians.reset_index().sort_values(["method", "classes", "n"], ignore_index=True)
    facts = {"batch": batch, "repeats": repeats, "at_hand": len(data.rows("test"))}
    print(report(save("growth", {"points": table.to_dict("records")}, **facts)))


if __name__ == "__main__":
    typer.run(options_from_records(main))
