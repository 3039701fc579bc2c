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
from rbcore.reports.reproduction.tables import ABSENT, COLUMNS, PERCENT, Row, as_table, missing

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


def agreement_row(pairs: pd.DataFrame, **known: object) -> Row:
    """Return the row of an agreement: its percentage, kappa, and the differences of sigma."""
    found = analyses.agreement_of(pairs)
    large = pairs[pairs["n"] >= FEWEST]
    sizes = sorted(
        {f"{n:,}" for n in pairs["n_images"]}, key=lambda text: int(text.replace(",", ""))
    )
    images = sizes[0] if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
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
        "ours": PERCENT * found.share,
        "n": found.n,
        "low": PERCENT * found.low,
        "high": PERCENT * found.high,
        "kappa": found.kappa,
        "mean difference": found.mean_difference,
        "variance": found.variance_of_differences,
        **known,
        "note": "; ".join([*notes, *([str(known["note"])] if known.get("note") else [])]),
    }


def headline(pairs: pd.DataFrame, known: Row) -> list[Row]:
    """Return an agreement over several datasets: of all groups, and of the large ones."""
    if not len(pairs):
        return [absent(known)]
    large = pairs[pairs["n"] >= FEWEST]
    rows = [agreement_row(pairs, **known)]
    if 0 < len(large) < len(pairs):
        only = {**known, "dataset": f"of these, groups with at least {FEWEST} images"}
        rows.append(
            agreement_row(large, **{name: only[name] for name in ("dataset", "model", "quantity")})
        )
    return rows


def absent(known: Row) -> Row:
    """Return the row of an agreement that no data at hand give."""
    return {
        **known,
        "note": "; ".join([ABSENT, *([str(known["note"])] if "note" in known else [])]),
    }


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
        joined = pairs_of(of_paper, LINEAR, "exact", method)
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
        rows += headline(joined, known)
        for material in materials:
            pairs = pairs_of([material], LINEAR, "exact", method)
            if len(pairs):
                rows.append(
                    agreement_row(pairs, dataset=material.title, model=LINEAR, quantity=quantity)
                )
            else:
                rows.append(missing(material, quantity, model=LINEAR))
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
    joined = pairs_of(of_paper, NETWORK, "deepfool", "carlini_wagner")
    rows += headline(joined, known)
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
            pairs = pairs_of([material], NETWORK, first, second)
            known["dataset"] = material.title
            rows.append(agreement_row(pairs, **known) if len(pairs) else missing(material, **known))  # type: ignore[arg-type]
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
            n, n_left_out = (
                sum(values)
                for values in zip(*(_sizes(tables, name) for name in models), strict=True)
            )
            note = f"{Norm.LINF.symbol}, {n:,} images, {n_left_out} without both bounds left out"
            rows.append(
                agreement_row(
                    of_model, dataset="UG100 (CIFAR-10)", model=model, quantity=quantity, note=note
                )
            )
    return as_table(rows, AGREEMENT_COLUMNS)


def _sizes(tables: dict[tuple[str, str], tuple[pd.DataFrame, int]], model: str) -> tuple[int, int]:
    table, n_left_out = tables[model, "lower"]
    return len(table), n_left_out


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
            joined = {**known, "dataset": "the paper's datasets at hand", "model": "all"}
            if of_paper:
                rows += headline(pd.concat(of_paper), joined)
            else:
                rows.append(
                    {**joined, "note": f"not run at several epochs on these; {known['note']}"}
                )
            plain: Row = {"quantity": known["quantity"]}
            rows += [
                agreement_row(p, dataset=material.title, model=model, **plain)
                for material, model, p in found
            ]
    return as_table(rows, AGREEMENT_COLUMNS)
