"""Our attacks beside those of Foolbox, torchattacks and ART: the same samples, judge and run.

    python -m benchmarks.distances --cifar FOLDER --weights FILE --utkface FOLDER [--n 256] [--long]

One table a network, and one row a claim, with the figure it requires and the one measured. Our
methods are timed as a whole (the clean prediction, the attack, the verification), peers without
either. Our fast and standard tier and Foolbox's DeepFool take turns, and medians count; what is
slower runs once, and peers' results are kept in the cache with their date. Distances count if
`benchmarks.peers.judge` says so.
"""

import datetime
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from benchmarks.peers import LONG, PEERS, REFERENCE, Peer, judge
from benchmarks.results import Results, Row, command, machine, page, save, say
from benchmarks.subjects import (
    CACHE,
    PEERS_BATCH,
    Cifar,
    Faces,
    Subject,
    Threads,
    Weights,
    engine_for,
    load_cifar,
    load_faces,
)
from rbcore.cli.options import options_from_records
from rbcore.distances.batching import in_batches
from rbcore.distances.networks import CountedNetwork

TIERS = "minimal:fast,minimal,minimal:thorough"
WITHIN = 1.005
TIE = 1e-6


@dataclass
class Measured:
    """What one method did on a subject's first images.

    Attributes
    ----------
    distance
        Judged L2 distances, float64; NaN where the method failed.
    seconds
        Of each repetition.
    n_forward, n_backward
        Images sent forward and backward by one repetition.
    fallbacks
        Images for which one of our methods needed the engine's walk to another image; they
        count as failed here.
    date, threads
        When it was measured, and with how many threads.
    """

    title: str
    distance: np.ndarray
    seconds: list[float] = field(default_factory=list)
    n_forward: int = 0
    n_backward: int = 0
    fallbacks: int = 0
    date: str = field(default_factory=lambda: datetime.date.today().isoformat())
    threads: int = field(default_factory=torch.get_num_threads)

    @property
    def rate(self) -> float:
        """Samples a second, by the median of the seconds."""
        return len(self.distance) / float(np.median(self.seconds))

    @property
    def success(self) -> float:
        """Share of the samples that the judge accepts."""
        return float(np.isfinite(self.distance).mean())


def measure_ours(subject: Subject, spelled: str) -> Measured:
    """Run one of our methods once, engine and all, and judge what it calls found."""
    rows = np.arange(len(subject.labels))
    started = time.perf_counter()
    engine = engine_for(
        subject.network, subject.images, subject.labels, spelled, batch_size=subject.batch
    )
    parts = [engine.estimate(batch) for batch in in_batches(rows, engine.rows_a_batch)]
    seconds = time.perf_counter() - started
    perturbed = np.concatenate([part.perturbed for part in parts])
    status = np.concatenate([part.status for part in parts])
    perturbed[status != "found"] = np.nan
    images, labels = subject.tensors
    distance = judge(subject.network, images, labels, torch.as_tensor(perturbed))
    counts = engine.network.take_counts()
    return Measured(
        spelled, distance, [seconds], **counts, fallbacks=int((status == "fallback").sum())
    )


def measure_peer(subject: Subject, peer: Peer) -> tuple[Measured, Tensor]:
    """Run a peer once on the subject's first images, and judge it; return its images as well."""
    part = subject.first(peer.rows)
    images, labels = part.tensors
    network = CountedNetwork(part.network)
    torch.manual_seed(0)
    started = time.perf_counter()
    perturbed = peer.run(network, images, labels)
    seconds = time.perf_counter() - started
    distance = judge(part.network, images, labels, perturbed)
    return Measured(peer.title, distance, [seconds], **network.take_counts()), perturbed


def kept_peer(subject: Subject, name: str, folder: Path) -> Measured:
    """Return what a peer did on these very images and weights, from the folder if it is there.

    Else measure and keep it.
    """
    part = subject.first(PEERS[name].rows)
    digest = hashlib.sha256(f"{name} {PEERS[name].title}".encode())
    for tensor in part.network.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    digest.update(part.images.tobytes() + part.labels.tobytes())
    file = folder / f"{name}-{digest.hexdigest()[:16]}.npz"
    if file.exists():
        with np.load(file) as kept:
            facts, perturbed = json.loads(str(kept["facts"])), torch.as_tensor(kept["perturbed"])
        distance = judge(part.network, *part.tensors, perturbed)
        others = {key: facts[key] for key in ("n_forward", "n_backward", "date", "threads")}
        return Measured(PEERS[name].title, distance, [facts["seconds"]], **others)
    found, perturbed = measure_peer(subject, PEERS[name])
    facts = {
        "seconds": found.seconds[0],
        "n_forward": found.n_forward,
        "n_backward": found.n_backward,
    }
    facts |= {
        "date": found.date,
        "threads": found.threads,
        "command": command(),
        "machine": machine(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, facts=json.dumps(facts), perturbed=perturbed.cpu().numpy())
    return found


def taking_turns(measures: dict[str, Callable[[], Measured]], repeats: int) -> dict[str, Measured]:
    """Run each measurement `repeats` times, one after the other and again.

    The distances are those of the last turn.
    """
    found: dict[str, Measured] = {}
    for _ in range(repeats):
        for name, measure in measures.items():
            now = measure()
            now.seconds = (found[name].seconds if name in found else []) + now.seconds
            found[name] = now
    return found


def in_turns(subject: Subject, tiers: Iterable[str]) -> dict[str, Callable[[], Measured]]:
    """Return a measurement of each of our methods, for `taking_turns`."""
    return {tier: partial(measure_ours, subject, tier) for tier in tiers}


def measure(
    subject: Subject, tiers: list[str], peers: Iterable[str], repeats: int, folder: Path
) -> dict[str, Measured]:
    """Measure Foolbox's DeepFool and our fast and standard tier in turns.

    Then, once, our thorough one and each other peer.
    """
    measure_ours(subject.first(8), tiers[0])  # the first call of all pays for torch's own start
    reference = {REFERENCE: lambda: measure_peer(subject, PEERS[REFERENCE])[0]}
    found = taking_turns({**reference, **in_turns(subject, tiers[:2])}, repeats)
    found |= taking_turns(in_turns(subject, tiers[2:]), 1)
    for name in peers:
        found[name] = kept_peer(subject, name, folder)
        say(f"{found[name].title} on {subject.title}: {found[name].seconds[0]:.1f} s")
    return found


def best_known(found: Iterable[Measured], n: int) -> np.ndarray:
    """Return the smallest judged distance of each sample over everything measured.

    Inf where there is none.
    """
    best = np.full(n, np.inf)
    for one in found:
        best[: len(one.distance)] = np.fmin(best[: len(one.distance)], one.distance)
    return best


def rows_of(found: dict[str, Measured], best: np.ndarray) -> list[Row]:
    """Return one row a method: its cost, its distances, and these over the best known."""
    rows = []
    for one in found.values():
        n, is_found = len(one.distance), np.isfinite(one.distance)
        distance, ratio = one.distance[is_found], (one.distance / best[:n])[is_found]
        row = {
            "method": one.title,
            "n": n,
            "s": np.median(one.seconds),
            "samples/s": one.rate,
            "forward, backward a sample": f"{one.n_forward / n:.1f}, {one.n_backward / n:.1f}",
            "success": one.success,
            "by fallback": one.fallbacks,
        }
        if len(ratio):
            row |= {
                "mean L2": distance.mean(),
                "median": np.median(distance),
                "over best known: p50": np.median(ratio),
                "p95": np.quantile(ratio, 0.95),
                "max": ratio.max(),
            }
        row |= {
            "within 0.5%": (ratio <= WITHIN).sum() / n,
            "wins": int((one.distance <= best[:n] + TIE).sum()),
            "date, turns, threads": f"{one.date}, {len(one.seconds)}x, {one.threads}",
        }
        rows.append(row)
    return rows


def claim(
    what: str, required: float, measured: float, *, at_least: bool, turns: Iterable[float] = ()
) -> Row:
    """Return a row: the claim, what it requires, what was measured, and whether it holds."""
    is_met = measured >= required if at_least else measured <= required
    return {
        "claim": what,
        "required": f"{'at least' if at_least else 'at most'} {required:g}",
        "measured": measured,
        "in each turn": ", ".join(f"{one:.2f}" for one in turns),
        "": "PASS" if is_met else "**FAIL**",
    }


def speed_ratios(one: Measured, other: Measured) -> list[float]:
    """Return how many times one was as fast as the other, a sample, in each turn."""
    scale = len(one.distance) / len(other.distance)
    return [scale * theirs / ours for ours, theirs in zip(one.seconds, other.seconds, strict=True)]


def paired(one: Measured, other: Measured, statistic: Callable[[np.ndarray], float]) -> float:
    """Return a statistic's ratio over the samples where both methods succeeded."""
    n = min(len(one.distance), len(other.distance))
    both = np.isfinite(one.distance[:n]) & np.isfinite(other.distance[:n])
    return (
        float(statistic(one.distance[:n][both]) / statistic(other.distance[:n][both]))
        if both.any()
        else np.nan
    )


def fast_claims(subject: Subject, fast: Measured, reference: Measured, times: float) -> list[Row]:
    """Must show, 1."""
    name = f"fast, {subject.title}"
    speed = fast.rate / reference.rate
    turns = speed_ratios(fast, reference)
    return [
        claim(
            f"{name}: samples/s over Foolbox DeepFool's", times, speed, at_least=True, turns=turns
        ),
        claim(
            f"{name}: median over Foolbox DeepFool's",
            1.001,
            paired(fast, reference, np.median),
            at_least=False,
        ),
        claim(f"{name}: success", 1, fast.success, at_least=True),
    ]


def standard_claims(
    subject: Subject, standard: Measured, reference: Measured, best: np.ndarray
) -> list[Row]:
    """Must show, 2, without the long run."""
    name = f"standard, {subject.title}"
    share = float(np.median(standard.seconds) / np.median(reference.seconds))
    turns = [1 / ratio for ratio in speed_ratios(standard, reference)]
    p95 = float(np.nanquantile(standard.distance / best, 0.95))
    return [
        claim(
            f"{name}: mean over Foolbox DeepFool's",
            0.92,
            paired(standard, reference, np.mean),
            at_least=False,
        ),
        claim(
            f"{name}: median over Foolbox DeepFool's",
            0.92,
            paired(standard, reference, np.median),
            at_least=False,
        ),
        claim(
            f"{name}: time over Foolbox DeepFool's",
            round(2 / 3, 4),
            share,
            at_least=False,
            turns=turns,
        ),
        claim(f"{name}: distance over best known, p95", 1.05, p95, at_least=False),
        claim(f"{name}: success", 1, standard.success, at_least=True),
    ]


def thorough_claims(subject: Subject, thorough: Measured, best: np.ndarray) -> list[Row]:
    """Must show, 3."""
    share = float((thorough.distance <= WITHIN * best).mean())
    return [
        claim(
            f"thorough, {subject.title}: share within 0.5% of best known",
            0.97,
            share,
            at_least=True,
        )
    ]


def long_claims(standard: Measured, slow: list[Measured], long: Measured) -> list[Row]:
    """Must show, 2, against Foolbox's CW of 9 x 1000 steps."""
    name = f"CIFAR-10, ResNet-20, first {len(long.distance)}"
    mean = "paired mean over Foolbox CW's, 9 x 1000"
    speed = standard.rate / long.rate
    return [
        claim(
            f"standard, {name}: samples/s over Foolbox CW's, 9 x 1000", 100, speed, at_least=True
        ),
        claim(f"standard, {name}: {mean}", 1.005, paired(standard, long, np.mean), at_least=False),
        *(
            claim(f"thorough, {name}: {mean}", 1, paired(thorough, long, np.mean), at_least=False)
            for thorough in slow
        ),
    ]


def report(results: Results) -> str:
    """Return the tables and the claims in Markdown."""
    forms = {"s": ".2f", "samples/s": ".2f", "mean L2": ".4f", "median": ".4f"}
    forms |= {"over best known: p50": ".4f", "p95": ".3f", "max": ".3f", "measured": ".4g"}
    return page(results, forms | {"success": ".1%", "within 0.5%": ".1%"})


@dataclass(frozen=True)
class Compared:
    """Our methods and their peers, and how often they take turns."""

    repeats: Annotated[
        int, typer.Option(help="Turns of our fast and standard tier and Foolbox's DeepFool.")
    ] = 3
    long: Annotated[
        bool, typer.Option("--long", help="Also Foolbox's CW of 9 x 1000 steps: half an hour.")
    ] = False
    tiers: Annotated[
        str, typer.Option(help="Our fast and standard method, and thorough if it is to run.")
    ] = TIERS
    peers: Annotated[
        str | None, typer.Option(help="Peers besides Foolbox's DeepFool; all where not given.")
    ] = None

    @property
    def others(self) -> list[str]:
        """The peers that run once on every subject."""
        named = self.peers.split(",") if self.peers else []
        return [
            name
            for name in (PEERS if self.peers is None else named)
            if name not in (REFERENCE, LONG)
        ]


def main(
    cifar: Cifar,
    weights: Weights,
    compared: Compared,
    utkface: Faces = None,
    n: Annotated[int, typer.Option(help="Correctly classified test images.")] = 256,
    threads: Threads = 2,
    batch: Annotated[
        int | None, typer.Option(help="Our images a pass; found by measuring where not given.")
    ] = None,
    cache: Annotated[
        Path, typer.Option(help="Folder for runs and for the peers' results.")
    ] = CACHE,
) -> None:
    """Measure every method, and check the claims."""
    os.environ["RBCORE_CACHE"] = str(cache)
    torch.set_num_threads(threads)
    kept = cache / "peers"
    ours, repeats = compared.tiers.split(","), compared.repeats
    fast, standard, *slow = ours
    claims: list[Row] = []
    tables: dict[str, list[Row]] = {}
    subjects = [(load_cifar(cifar, weights, n, batch), 8.0)]
    if utkface is not None:
        subjects.append((load_faces(utkface, n, batch), 3.0))
    for subject, times in subjects:
        is_first = subject is subjects[0][0]
        others = compared.others + [LONG] * (compared.long and is_first)
        found = measure(subject, ours, others, repeats, kept)
        best = best_known(found.values(), len(subject.labels))
        tables[title_of(subject)] = rows_of(found, best)
        claims += fast_claims(subject, found[fast], found[REFERENCE], times)
        if is_first:
            claims += standard_claims(subject, found[standard], found[REFERENCE], best)
        for thorough in slow:
            claims += thorough_claims(subject, found[thorough], best)
        if LONG in found:
            part = subject.first(PEERS[LONG].rows)
            again = {
                **taking_turns(in_turns(part, [standard]), repeats),
                **taking_turns(in_turns(part, slow), 1),
            }
            best = np.fmin(best[: len(part.labels)], best_known(again.values(), len(part.labels)))
            tables[title_of(part)] = rows_of({**again, LONG: found[LONG]}, best)
            claims += long_claims(
                again[standard], [again[thorough] for thorough in slow], found[LONG]
            )
    print(report(save("distances", {**tables, "Claims": claims})))


def title_of(subject: Subject) -> str:
    """Return the title of a subject's table."""
    return (
        f"{subject.title}: {len(subject.labels)} images, ours in passes of {subject.batch}, "
        f"peers of {PEERS_BATCH}; peers' dates are their own"
    )


if __name__ == "__main__":
    typer.run(options_from_records(main))
