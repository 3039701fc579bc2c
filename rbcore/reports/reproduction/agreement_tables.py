"""The tables of agreement: how often two methods, or two epochs, give sigma the same sign."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from rbcore import analyses
from rbcore.inference import FEWEST
from rbcore.norms import Norm
from rbcore.reports.reproduction import paper
from rbcore.reports.reproduction.plan import LINEAR, NETWORK
from rbcore.reports.reproduction.prepare import Material
from rbcore.reports.reproduction.tables import (
    ABSENT,
    COLUMNS,
    PERCENT,
    Row,
    as_table,
    joined,
    measured,
    missing,
)

AGREEMENT_COLUMNS = [*COLUMNS[:-1], "kappa", "mean difference", "variance", "note"]
TITLES = {
    "exact": "exact",
    "deepfool": "DeepFool",
    "minimal": "Minimal (ours)",
    "carlini_wagner": "Carlini-Wagner",
    "smoothing": "smoothing",
}
PUBLISHED_TITLES = {
    "lower": "lower bound (MIP)",
    "upper": "upper bound (MIP)",
    "carlini": TITLES["carlini_wagner"],
}


def agreement_row(pairs: pd.DataFrame, known: Row) -> Row:
    """Return the row of an agreement: its percentage, kappa, and the differences of sigma."""
    found = analyses.agreement_of(pairs)
    large = pairs[pairs["n"] >= FEWEST]
    fewest, most = pairs["n_images"].min(), pairs["n_images"].max()
    images = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    notes = [f"same sign in {found.n_same:,} of {found.n:,} groups, of {images} images"]
    if 0 < len(large) < len(pairs):
        of_large = analyses.agreement_of(large)
        notes.append(f"{of_large.n_same} of {of_large.n} with at least {FEWEST} images")
    n_empty = int(((pairs["sigma_first"] == -1) & (pairs["sigma_second"] == -1)).sum())
    if n_empty:
        notes.append(f"{n_empty} without a correct image agree whatever the method")
    if found.n_undefined:
        notes.append(f"{found.n_undefined} left out, sigma not defined")
    return {
        **measured(vars(found), "share", PERCENT),
        "kappa": found.kappa,
        "mean difference": found.mean_difference,
        "variance": found.variance_of_differences,
        **known,
        "note": joined(*notes, known.get("note")),
    }


def headline(pairs: pd.DataFrame, known: Row) -> list[Row]:
    """Return an agreement over several datasets: of all groups, and of the large ones."""
    if not len(pairs):
        return [absent(known)]
    large = pairs[pairs["n"] >= FEWEST]
    rows = [agreement_row(pairs, known)]
    if 0 < len(large) < len(pairs):
        which = {name: known[name] for name in ("model", "quantity")}
        of_these = f"of these, groups with at least {FEWEST} images"
        rows.append(agreement_row(large, {"dataset": of_these, **which}))
    return rows


def absent(known: Row) -> Row:
    """Return the row of an agreement that no data at hand give."""
    return {**known, "note": joined(ABSENT, known.get("note"))}


def row_of(material: Material, pairs: pd.DataFrame, known: Row) -> Row:
    """Return the row of an agreement on one dataset, or why there is none."""
    if not len(pairs):
        return missing(material, known)
    return agreement_row(pairs, {"dataset": material.title, **known})


def pairs_of(materials: Sequence[Material], model: str, first: str, second: str) -> pd.DataFrame:
    """Pair sigma by two methods over all partitions of all datasets; ``dataset`` says which."""
    tables = []
    for material in materials:
        left, right = material.rows(model, first), material.rows(model, second)
        if left is not None and right is not None:
            tables.append(
                analyses.paired_sigmas(left, right, material.partitions).assign(
                    dataset=material.title
                )
            )
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def exact_agreement_table(materials: Sequence[Material]) -> pd.DataFrame:
    """Compare signs of sigma with the exact ones, on logistic regression (sections 7.1 and 8.1)."""
    rows: list[Row] = []
    of_paper = [material for material in materials if material.name in paper.MEDIAN_EXACT]
    for method in ("deepfool", "carlini_wagner", "smoothing", "minimal"):
        quantity = f"{TITLES[method]} has the sign of the exact sigma, %"
        of_all = pairs_of(of_paper, LINEAR, "exact", method)
        known: Row = {
            "model": LINEAR,
            "quantity": quantity,
            "dataset": "the paper's datasets at hand",
        }
        if method in paper.AGREES_WITH_EXACT:
            known["paper"] = PERCENT * paper.AGREES_WITH_EXACT[method] / paper.N_GROUPS
            known["note"] = (
                f"paper: {paper.AGREES_WITH_EXACT[method]} of {paper.N_GROUPS}, mean difference "
                f"{paper.MEAN_DIFFERENCE[method]}, variance {paper.VARIANCE_OF_DIFFERENCES[method]}"
            )
        rows += headline(of_all, known)
        for material in materials:
            pairs = pairs_of([material], LINEAR, "exact", method)
            rows.append(row_of(material, pairs, {"model": LINEAR, "quantity": quantity}))
    return as_table(rows, AGREEMENT_COLUMNS)


def method_agreement_table(materials: Sequence[Material]) -> pd.DataFrame:
    """Compare the methods with each other on the network (sections 7.2 and 8.3, Table 1)."""
    rows: list[Row] = []
    of_paper = [material for material in materials if material.name in paper.MEDIAN_EXACT]
    quantity = "DeepFool and Carlini-Wagner have one sign, %"
    known: Row = {
        "dataset": "the paper's datasets at hand",
        "model": NETWORK,
        "quantity": quantity,
        "paper": PERCENT * paper.DEEPFOOL_AGREES_WITH_CARLINI_WAGNER / paper.N_CELLS,
        "note": (
            f"paper: {paper.DEEPFOOL_AGREES_WITH_CARLINI_WAGNER} of {paper.N_CELLS}, five networks"
        ),
    }
    rows += headline(pairs_of(of_paper, NETWORK, "deepfool", "carlini_wagner"), known)
    comparisons = [
        ("deepfool", "carlini_wagner", None),
        ("smoothing", "deepfool", 0),
        ("smoothing", "carlini_wagner", 1),
    ]
    for first, second, column in comparisons:
        quantity = f"{TITLES[first]} and {TITLES[second]} have one sign, %".replace(
            "smoothing", "Smoothing", 1
        )
        for material in materials:
            known = {"model": NETWORK, "quantity": quantity}
            if column is not None and material.name in paper.SMOOTHING_AGREES:
                known["paper"] = paper.SMOOTHING_AGREES[material.name][column]
                known["note"] = (
                    f"paper: Table 1, six models, {paper.SMOOTHING_AGREES[material.name][2]} cells"
                )
            rows.append(row_of(material, pairs_of([material], NETWORK, first, second), known))
    return as_table(rows, AGREEMENT_COLUMNS)


def ug100_agreement_table(folder: Path | None) -> pd.DataFrame:
    """Compare published distances of UG100 by two attacks with the bounds of the exact ones."""
    rows: list[Row] = []
    pairings = (
        ("lower", "upper"),
        ("lower", "deepfool"),
        ("lower", "carlini"),
        ("deepfool", "carlini"),
    )
    if folder is None:
        row = absent({"dataset": "UG100", "quantity": "same sign of sigma, %"})
        return as_table([row], AGREEMENT_COLUMNS)
    names = {**TITLES, **PUBLISHED_TITLES}
    tables = {
        (model, estimate): analyses.ug100_table(folder, model, estimate)
        for model in analyses.UG100_MODELS
        for estimate in ("lower", "upper", "deepfool", "carlini")
    }
    for first, second in pairings:
        pairs = {
            model: analyses.paired_sigmas(
                tables[model, first][0], tables[model, second][0], ["class"]
            )
            for model in analyses.UG100_MODELS
        }
        quantity = f"{names[first]} and {names[second]}: same sign of sigma, %"
        for model, of_model in [("all three", pd.concat(pairs.values())), *pairs.items()]:
            models = analyses.UG100_MODELS if model == "all three" else (model,)
            n = sum(len(tables[name, "lower"][0]) for name in models)
            n_left_out = sum(tables[name, "lower"][1] for name in models)
            note = f"{Norm.LINF.symbol}, {n:,} images, {n_left_out} without both bounds left out"
            known: Row = {"dataset": "UG100 (CIFAR-10)", "model": model, "quantity": quantity}
            rows.append(agreement_row(of_model, {**known, "note": note}))
    return as_table(rows, AGREEMENT_COLUMNS)


def epochs_table(materials: Sequence[Material]) -> pd.DataFrame:
    """Compare the sign at the first and the middle epoch with that at the last (section 7.2)."""
    rows: list[Row] = []
    for epoch in ("first", "middle"):
        for method in ("deepfool", "carlini_wagner"):
            known: Row = {
                "quantity": f"{epoch} epoch has the last one's sign, {TITLES[method]}, %",
                "paper": PERCENT * paper.AGREES_WITH_LAST_EPOCH[method, epoch] / paper.N_CELLS,
                "note": f"paper: {paper.AGREES_WITH_LAST_EPOCH[method, epoch]} of {paper.N_CELLS}",
            }
            found = []
            for material in materials:
                for model, run in material.runs.items():
                    pairs = analyses.epoch_pairs(run, method, material.partitions, epoch)
                    if pairs is not None and len(pairs):
                        found.append((material, model, pairs))
            of_paper = [
                pairs for material, _, pairs in found if material.name in paper.MEDIAN_EXACT
            ]
            known |= {"dataset": "the paper's datasets at hand", "model": "all"}
            if of_paper:
                rows += headline(pd.concat(of_paper), known)
            else:
                note = joined("not run at several epochs on these", known["note"])
                rows.append({**known, "note": note})
            rows += [
                row_of(material, pairs, {"model": model, "quantity": known["quantity"]})
                for material, model, pairs in found
            ]
    return as_table(rows, AGREEMENT_COLUMNS)
