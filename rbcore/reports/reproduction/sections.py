"""The sections of the report: what each analysis asks, its table, and its figures."""

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd

from rbcore import analyses, charts
from rbcore.distances import format_method, resolve_method
from rbcore.inference import FEWEST
from rbcore.norms import Norm
from rbcore.reports.page import Figure, Section, write_report
from rbcore.reports.reproduction import agreement_tables, tables
from rbcore.reports.reproduction.plan import LINEAR, NETWORK
from rbcore.reports.reproduction.prepare import Material

TITLE = "Fairness through robustness: the paper beside the data at hand"
LARGEST_LEGEND = 20
WIDTH = 340
LIBRARIES = ("torch", "foolbox", "numpy", "scipy", "pandas", "scikit-learn", "altair")


def all_sections(materials: Sequence[Material], ug100: Path | None) -> list[Section]:
    """Return the sections of the report for what is at hand."""
    return [
        Section(
            "data",
            "What is at hand",
            (
                "Every number below is of these images and these trainings, which are smaller "
                "than the paper's: the figures stand beside the paper's, they do not replace "
                "them. Intervals are 95%: Clopper-Pearson for shares, Wilson for agreement, "
                "bootstrap-t for sigma, order statistics for medians; over test images (or "
                "groups), for one trained model.",
            ),
            tables.data_table(materials),
        ),
        _toys(),
        Section(
            "median_exact_distance",
            "Median exact distance of logistic regression (section 6; figures 4 and 5)",
            (
                "Distances in closed form, L2 in [0, 1] pixel space, without the "
                "box of valid pixels.",
            ),
            tables.median_table(materials),
            _exact_figures(materials),
        ),
        Section(
            "agreement_with_exact",
            "Estimates against exact distances: the sign of sigma (sections 7.1 and 8.1)",
            (
                "On logistic regression, where the exact sigma is known. A partition into two "
                "groups counts once, since its two signs always differ. Both sigmas are of the "
                "same images: those that the slower method was run on. Mean difference and "
                "variance are of exact minus estimated sigma over the groups. Smoothing certifies "
                "another classifier.",
            ),
            agreement_tables.exact_agreement_table(materials),
            _scatters(
                materials,
                LINEAR,
                [("exact", method) for method in ("deepfool", "carlini_wagner", "smoothing")],
            ),
        ),
        Section(
            "ug100",
            "Published distances (UG100): attacks against bounds",
            (
                f"Minimal {Norm.LINF.symbol} distances of CIFAR-10 test images for three small "
                "networks, published by others: bounded from below and above by mixed-integer "
                "programming (MIP), and found by attacks. It checks the measures on networks, "
                "where this library has no exact distance. All images are classified correctly.",
            ),
            agreement_tables.ug100_agreement_table(ug100),
        ),
        Section(
            "agreement_of_methods",
            "Estimates against each other on a network (sections 7.2 and 8.3, Table 1)",
            (
                "The paper's rows are over five or six networks fully trained on all data; ours "
                "over one small network.",
            ),
            agreement_tables.method_agreement_table(materials),
            _scatters(
                materials, NETWORK, [("deepfool", "carlini_wagner"), ("smoothing", "deepfool")]
            ),
        ),
        Section(
            "epochs",
            "First, middle and last epoch (section 7.2)",
            (
                "Whether sigma has the sign of the last epoch. Cells of one model are not "
                "independent, as the interval takes them.",
            ),
            agreement_tables.epochs_table(materials),
        ),
        Section(
            "signs_by_group",
            "Groups that are less robust for all models (section 8.2; figures 6 to 8)",
            (
                "Sigma by DeepFool at the last epoch, with the verdict of the permutation test "
                "after Holm's correction.",
            ),
            tables.signs_table(materials),
            _face_figures(materials),
        ),
        Section(
            "fooled_at_one_budget",
            "Fooled or not within L2 0.5 (figure 3)",
            (
                "An attack found a smaller perturbation for at least these; the others are "
                "not shown to be safe.",
            ),
            tables.budget_table(materials),
            _budget_figures(materials),
        ),
        Section(
            "raw_and_standardized",
            "What part is composition: sigma by race at one mix of ages",
            (
                "The class of UTKFace is the bin of age. Standardized: every group and its rest "
                "re-weighted to the same mix of ages; where a cell of group and bin has fewer "
                "than 5 images, wider bins are taken, and the note says which. Every seed has its "
                "own split and training. The paper does not ask this. On the toy faces, site is "
                "confounded with age and has no effect of its own.",
            ),
            tables.composition_table(materials),
        ),
        Section(
            "pretraining",
            "Pre-trained against from scratch (section 8.2)",
            (),
            tables.pretraining_table(materials),
        ),
    ]


def write(folder: Path, sections: Sequence[Section], *, is_quick: bool = False) -> Path:
    """Write the report and its tables; return the page's path."""
    lead = [
        (
            "The analyses of Fairness Through Robustness (Nanda, Dooley, Singla, Feizi and "
            "Dickerson, FAccT 2021), run on the data at hand. The column paper holds the paper's "
            "values, to compare with; a dash: the paper has none, or none is defined."
        ),
        (
            "sigma = (AUC of a group - AUC of the rest) / AUC of the rest: below 0, less robust "
            "than the rest. Distances are L2 in [0, 1] pixel space unless said otherwise."
        ),
    ]
    if is_quick:
        lead.insert(
            0, "Made with --quick: so few images and epochs that no number here means anything."
        )
    return write_report(folder, TITLE, lead, sections)


def provenance(materials: Sequence[Material], command: str, seconds: float) -> Section:
    """Return the section on weights, parameters, seeds, versions and the command."""
    rows = []
    for material in materials:
        for entry in material.entries:
            computed = entry.stored.provenance.computed
            key = entry.stored.key
            method, parameters = resolve_method(entry.work.method, entry.work.parameters)
            rows.append(
                {
                    "dataset": material.title,
                    "model": entry.run.model,
                    "run": entry.run.name,
                    "epoch": entry.run.epoch(entry.epoch),
                    "method": format_method(method, parameters),
                    "parameters": " ".join(f"{name}={value}" for name, value in parameters.items()),
                    "n": len(entry.rows),
                    "seed": entry.run.facts.seed,
                    "seconds": round(sum(part.seconds for part in computed)),
                    "computed with": ", ".join(sorted({f"torch {p.torch}" for p in computed})),
                    "weights": key.weights,
                    "data": key.dataset,
                }
            )
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return Section(
        "provenance",
        "Provenance",
        (
            f"Command: {command}",
            (
                f"This call took {seconds:,.0f} s; what the store held was not computed again. "
                f"Python {platform.python_version()}, {versions}."
            ),
            (
                "Seconds are those of computing the whole stored table. Weights and data: SHA-256 "
                "of the checkpoint's file, and of the dataset's content."
            ),
        ),
        pd.DataFrame(rows),
    )


def _toys() -> Section:
    unlike, like = analyses.budget_toys()
    three = analyses.class_toy()
    tau = analyses.BUDGET_TOY_TAU
    planes = [
        charts.toy_plane(toy.distances, toy.boundaries, tau=tau).properties(
            title=f"Figure 1, classifier {name}"
        )
        for name, toy in (("A", unlike), ("B", like))
    ]
    curves = charts.robustness_curves(three.distances, "class").properties(width=WIDTH, height=300)
    return Section(
        "toys",
        "Toys in a plane (figures 1 and 2)",
        (
            "Figure 1: two classifiers of the same points, both always right, but only the first "
            "has a bias against the round points. Figure 2: a multinomial logistic regression "
            "fitted to three classes, with the lines at which its prediction changes.",
        ),
        tables.toys_table(),
        (
            Figure(
                alt.hconcat(*planes),
                f"Pale points lie within tau = {tau:g} of the boundary (dotted).",
            ),
            Figure(
                charts.toy_plane(three.distances, three.boundaries, width=300).properties(
                    title="Figure 2a"
                ),
                "Three classes and the boundaries of the fitted classifier.",
            ),
            Figure(
                curves.properties(title="Figure 2b"),
                "I_P(tau) by class with 95% bands, in the plane: brown falls first.",
            ),
        ),
    )


def _exact_figures(materials: Sequence[Material]) -> tuple[Figure, ...]:
    figures: list[Figure] = []
    for material in materials:
        exact = material.rows(LINEAR, "exact")
        if exact is not None:
            title = f"{material.title}, exact, by {{}} (n = {len(exact):,})"
            shown = [by for by in material.partitions if exact[by].nunique() <= LARGEST_LEGEND]
            figures += [_curves(exact, by, title.format(by)) for by in shown]
    return tuple(figures)


def _curves(distances: pd.DataFrame, by: str, title: str) -> Figure:
    chart = charts.robustness_curves(distances, by).properties(width=WIDTH, height=260, title=title)
    return Figure(chart, f"I_P(tau) with 95% bands: {title}.")


def _scatters(
    materials: Sequence[Material], model: str, pairings: Sequence[tuple[str, str]]
) -> tuple[Figure, ...]:
    figures = []
    for first, second in pairings:
        pairs = agreement_tables.pairs_of(materials, model, first, second)
        if len(pairs):
            is_known = np.isfinite(pairs["sigma_first"]) & np.isfinite(pairs["sigma_second"])
            pairs = pairs[is_known & (pairs["n"] >= FEWEST)]
        if len(pairs):
            names = [agreement_tables.TITLES[name] for name in (first, second)]
            chart = charts.agreement_scatter(pairs, *names)
            figures.append(
                Figure(
                    chart,
                    f"One point a group of at least {FEWEST} images (n = {len(pairs)}); in the "
                    "shaded quarters the signs agree.",
                )
            )
    return tuple(figures)


def _face_figures(materials: Sequence[Material]) -> tuple[Figure, ...]:
    figures = []
    for material in materials:
        if material.name != "utkface" or not material.runs:
            continue
        for by in ("class", "race", "gender"):
            table, _ = analyses.bias_by_model(list(material.runs.values()), "deepfool", by)
            if len(table):
                caption = (
                    f"Sigma by {by}, DeepFool, n = {int(table['n'].min())} to "
                    f"{int(table['n'].max())} a cell."
                )
                figures.append(Figure(charts.bias_heatmap(table, width=460), caption))
        for method in ("deepfool", "carlini_wagner", "smoothing"):
            distances = material.rows(NETWORK, method)
            if distances is not None:
                title = (
                    f"{material.title}, {NETWORK}, {agreement_tables.TITLES[method]} (n = "
                    f"{len(distances):,})"
                )
                figures.append(_curves(distances, "race", title))
    return tuple(figures)


def _budget_figures(materials: Sequence[Material]) -> tuple[Figure, ...]:
    figures = []
    for material in materials:
        distances = material.rows(NETWORK, "minimal")
        by = {"utkface": "race*gender", "toyfaces": "lighting"}.get(material.name, "class")
        if distances is not None:
            chart = charts.fooled_bars(analyses.fooled_at(distances, by)).properties(
                title=material.title
            )
            figures.append(
                Figure(
                    chart, f"{material.title}, {NETWORK}, Minimal, by {by}; 95% Clopper-Pearson."
                )
            )
    return tuple(figures)
