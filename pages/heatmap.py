"""Heatmap: which groups are less robust for all models, by all methods, from epoch to epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.shell import cache, charts, missing_data, navigation
from pages.shell.forms import picker
from pages.shell.selection import Selection, current, partitions_on_offer, put
from pages.shell.text import escape_markdown
from rbcore import analyses, inference
from rbcore.analyses import MissingDistances
from rbcore.charts import CELL, MOST_LABELED, ORDERS, bias_heatmap, order_of_groups
from rbcore.runs.checkpoints import Run
from rbcore.training.recipes import named_epochs

EPOCHS, METHODS, BOTH, PARTITIONS = "epochs", "methods", "methods and epochs", "partitions"
# What stands side by side, and what below each other.
FACETS = {
    EPOCHS: ("epoch", None),
    METHODS: ("method", None),
    BOTH: ("epoch", "method"),
    PARTITIONS: ("epoch", "by"),
}
NOTHING = "nothing"
# Model, run, epoch, method and partition of one table of sigma.
Cell = tuple[str, str, int, str, str]
ROOM = 700
MOST_NAMED = 6


@dataclass(frozen=True)
class Sheet:
    """What the heatmap shows beside models and groups.

    Attributes
    ----------
    layout
        One of `FACETS`.
    methods, partitions, epochs
        Names; epochs as ``first``, ``middle``, ``last``.
    within
        The partition whose mix is held fixed, or empty.
    """

    layout: str
    methods: tuple[str, ...]
    partitions: tuple[str, ...]
    epochs: tuple[str, ...]
    within: str


def render(selection: Selection) -> None:
    """Draw sigma of each group for each model."""
    st.title("Models and epochs", anchor=False)
    st.caption(
        f"{selection.spec.title} · by {selection.partition_title} · {selection.method} · newest "
        "complete run of each model on the same data"
    )
    runs = analyses.comparable_runs(selection.dataset, selection.run)
    if not runs:
        missing_data.report_untrained("model", selection)
        return
    known = cache.etags()
    sheet, order, slot = pick_sheet(selection, runs, known)
    cells = cells_of(selection, sheet, runs)
    keys = {cell: cache.cache_key(known, shown, sheet.within) for cell, shown in cells.items()}
    measure_or_rerun(cells, keys, sheet.within)
    table, lacking = join(selection, runs, sheet, keys)
    if table.empty:
        st.info(f"No {selection.method} distances are computed for {selection.spec.title} yet.")
    else:
        draw_verdict(selection, table, sheet)
        draw_heatmap(selection, table, sheet, order, slot)
        explain(table, sheet)
    offer_missing(selection, [hole for method, hole in lacking if method == selection.method])
    left_out = [run.model for run in runs if not analyses.applies(selection.method, run)]
    if left_out:
        st.caption(
            escape_markdown(
                f"Left out, since {selection.method} applies to linear models only: "
                f"{', '.join(left_out)}."
            )
        )
    st.caption(selection.spec.caution)


def pick_sheet(
    selection: Selection, runs: list[Run], known: cache.Etags
) -> tuple[Sheet, str, DeltaGenerator]:
    """Draw the controls; return the sheet, the order of its groups, and room for a toggle."""
    simple = [name for name in partitions_on_offer(selection.spec, runs) if "*" not in name]
    columns = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
    with columns[0]:
        layout = picker("Side by side", "sheet", list(FACETS))
    with columns[1]:
        order = picker(
            "Order of the groups",
            "order",
            list(ORDERS),
            help=f"sigma: of the selected model ({selection.model}), the least robust on top.",
        )
    with columns[2]:
        within = picker(
            "Mix held fixed",
            "mix",
            [NOTHING, *(name for name in simple if name not in selection.by.split("*"))],
            help=(
                "nothing: sigma as it is. An attribute: the group and the rest are re-weighted to "
                "the same mix of it, so that what remains is not due to it."
            ),
        )
    within = "" if within == NOTHING else within
    methods, partitions, epochs = [selection.method], [selection.by], analyses.EPOCHS
    if layout in (METHODS, BOTH):
        methods += cache.computed_methods(known, runs)
    if layout == PARTITIONS:
        partitions += [name for name in simple if name != within]
    if layout in (METHODS, PARTITIONS):
        epochs = ("last",)
    sheet = Sheet(
        layout, tuple(dict.fromkeys(methods)), tuple(dict.fromkeys(partitions)), epochs, within
    )
    return sheet, order, columns[3]


def cells_of(selection: Selection, sheet: Sheet, runs: list[Run]) -> dict[Cell, Selection]:
    """Return the tables of sigma that a sheet is joined from."""
    cells = {}
    for run in runs:
        numbers = named_epochs(run.n_epochs)
        for epoch in dict.fromkeys(numbers[name] for name in sheet.epochs):
            for method in sheet.methods:
                if epoch not in run.epochs or not analyses.applies(method, run):
                    continue
                for by in sheet.partitions:
                    cells[run.model, run.name, epoch, method, by] = replace(
                        selection, model=run.model, run=run, epoch=epoch, method=method, by=by
                    )
    return cells


def measure_or_rerun(
    cells: Mapping[Cell, Selection], keys: Mapping[Cell, str | None], within: str
) -> None:
    """Measure what is not measured yet for a second; if that is not enough, run the page again."""
    wanted = {key: cells[cell] for cell, key in keys.items() if key is not None}
    n_left = cache.measure_some(wanted, within)
    if n_left:
        n_done = len(cells) - n_left
        st.progress(n_done / len(cells), f"Measuring: {n_done} of {len(cells)} tables of distances")
        st.rerun()


def name_of_run(run: Run) -> tuple[str, str]:
    """Return what names a run of a dataset."""
    return run.model, run.name


@st.cache_data(
    max_entries=8,
    show_spinner=False,
    hash_funcs={Selection: cache.policy_of, Run: name_of_run, Sheet: repr},
)
def join(
    selection: Selection, runs: list[Run], sheet: Sheet, keys: dict[Cell, str | None]
) -> tuple[pd.DataFrame, list[tuple[str, MissingDistances]]]:
    """Return the tables of all cells below each other, and what is missing by each method."""

    def measured(run: Run, epoch: int, method: str, by: str) -> pd.DataFrame | None:
        return cache.measured(keys[run.model, run.name, epoch, method, by])

    tables, missing = [], []
    for method in sheet.methods:
        for by in sheet.partitions:
            table, lacking = analyses.bias_by_model(
                runs, method, by, epochs=sheet.epochs, policy=selection.policy, measure=measured
            )
            tables.append(table)
            missing += [(method, hole) for hole in lacking if (method, hole) not in missing]
    return pd.concat(tables, ignore_index=True), missing


def draw_verdict(selection: Selection, table: pd.DataFrame, sheet: Sheet) -> None:
    """Say in how many models which group is less robust."""
    own = table[(table["method"] == selection.method) & (table["by"] == selection.by)]
    if own.empty:
        st.info(
            escape_markdown(
                f"No {selection.method} distances are computed yet; the other methods are below."
            )
        )
        return
    rule = f"{analyses.MIX_RULE} of {sheet.within}" if sheet.within else analyses.RULE
    verdict = analyses.verdict_over_models(own, rule=rule, kind=selection.partition_title)
    st.markdown(f"#### {escape_markdown(verdict)}")


def draw_heatmap(
    selection: Selection, table: pd.DataFrame, sheet: Sheet, order: str, slot: DeltaGenerator
) -> None:
    """Draw the heatmap, and what the cell that was clicked holds."""
    is_labeled = slot.toggle(
        "Numbers",
        value=table["group"].nunique() <= MOST_LABELED,
        help="Sigma in each cell.",
        key=f"numbers {sheet.layout}",
    )
    across, down = FACETS[sheet.layout]
    clicked = st.container()  # stands above the sheet, in sight on a projector
    with charts.scrolled("heatmap"):
        events = charts.draw(
            bias_heatmap(
                table,
                columns=across,
                rows=down,
                groups=order_of_groups(table, order, model=selection.model),
                labels=is_labeled,
                width=ROOM,
            ),
            "heatmap",
            table=table,
            width="content",
            alt=f"Sigma of each group for each model, {sheet.layout} side by side.",
            on_select=select_clicked,
            selection_mode=[CELL],
        )
    points = events["selection"].get(CELL)
    cell = analyses.find_cell(table, points[0]) if points else None
    with clicked.container(border=True, horizontal=True, vertical_alignment="center"):
        if cell is None:
            st.caption(
                "Click a cell for its numbers, its curves and its images. Without a mouse: pick "
                "them in the sidebar."
            )
            return
        said = analyses.say_cell(cell, kind=selection.partition_title)
        st.markdown(escape_markdown(said), width="stretch")
        st.page_link(navigation.page("Curves"), label="Its curves", icon=":material/show_chart:")
        st.page_link(navigation.page("Images"), label="Its images", icon=":material/image:")


def select_clicked() -> None:
    """Make the cell that was clicked the selection of all pages."""
    points = st.session_state["chart heatmap"]["selection"].get(CELL)
    if points and points[0] != st.session_state.get("clicked cell"):
        point = st.session_state["clicked cell"] = points[0]
        picks = {name: str(point[name]) for name in ("model", "run", "method", "by", "group")}
        put(**picks, epoch=str(int(point["epoch_number"])))


def explain(table: pd.DataFrame, sheet: Sheet) -> None:
    """Say what the colors and marks mean, and of how many images."""
    sizes = table[["n", "n_counted"]].dropna()
    mixed = (
        (
            f" Sigma is at a common mix of {sheet.within}: the group and the rest of it are "
            "re-weighted. There is no test of it, so a ring says that the 95% interval covers 0; "
            "hatched groups have too few images in one part of the mix."
        )
        if sheet.within
        else (
            f" Ring: no difference shown ({analyses.RULE} over the groups of one model, epoch and "
            "method; not over all cells)."
        )
    )
    st.caption(
        escape_markdown(
            f"n = {analyses.range_in_words(sizes['n'])} test images a cell"
            f"{analyses.counted_in_words(sizes)}. Red is less "
            f"robust than the rest, blue more; colors end at the largest value or at 1.{mixed} "
            f"Hatched: fewer than {inference.FEWEST} images count. Dash: not computed. Intervals "
            "are over test images for one trained model."
        )
    )


def offer_missing(selection: Selection, missing: list[MissingDistances]) -> None:
    """Say which distances are missing, and offer to compute them."""
    if not missing:
        return
    names = [f"{hole.run.model} epoch {hole.epoch}" for hole in missing]
    named = ", ".join([*names[:MOST_NAMED], *(["..."] if len(names) > MOST_NAMED else [])])
    missing_data.offer_estimates(
        [
            replace(selection, model=hole.run.model, run=hole.run, epoch=hole.epoch)
            for hole in missing
        ],
        f"Distances are missing or incomplete for: {named}.",
        f"Compute the {len(missing)} missing",
    )


render(current())
