"""Heatmap: which groups are less robust for all models, by all methods, and does it stay so from the first epoch to the last."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from pages.shell import definitions, menu, missing_data, results, selection, show
from pages.shell.text import plain
from rbcore import analyses, inference
from rbcore.charts import CELL, MOST_LABELED, ORDERS, bias_heatmap, order_of_groups
from rbcore.runs.checkpoints import Run
from rbcore.training.recipes import named_epochs

EPOCHS, METHODS, BOTH, PARTITIONS = "epochs", "methods", "methods and epochs", "partitions"
NOTHING = "nothing"
ROOM = 700
MOST_NAMED = 6

chosen = selection.current()
st.title("Models and epochs", anchor=False)
st.caption(
    f"{chosen.spec.title} · by {chosen.partition_title} · {chosen.method} · newest complete run "
    "of each model on the same data"
)
runs = analyses.comparable_runs(chosen.dataset, chosen.run)
if not runs:
    missing_data.say_untrained("model", chosen)
    st.stop()
policy = definitions.pick()
simple = [name for name in selection.partitions_on_offer(chosen.spec, runs) if "*" not in name]
stamps = results.stamps()

side, order, fixed, values = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
with side:
    sheet = selection.picker("Side by side", "sheet", [EPOCHS, METHODS, BOTH, PARTITIONS])
with order:
    by_what = selection.picker(
        "Order of the groups",
        "order",
        list(ORDERS),
        help=f"sigma: of the selected model ({chosen.model}), the least robust on top.",
    )
with fixed:
    within = selection.picker(
        "Mix held fixed",
        "mix",
        [NOTHING, *(name for name in simple if name not in chosen.by.split("*"))],
        help=(
            "nothing: sigma as it is. An attribute: the group and the rest are re-weighted to the "
            "same mix of it, so that what remains is not due to it."
        ),
    )
within = "" if within == NOTHING else within

methods = [chosen.method]
if sheet in (METHODS, BOTH):
    methods = list(dict.fromkeys([chosen.method, *results.computed_methods(stamps, runs)]))
partitions = [chosen.by]
if sheet == PARTITIONS:
    partitions = [name for name in dict.fromkeys([chosen.by, *simple]) if name != within]
epochs = ("last",) if sheet in (METHODS, PARTITIONS) else analyses.EPOCHS

places = {
    (run.name, run.model, number, method, by): results.place(stamps, run, number, method, by)
    for run in runs
    for number in (named_epochs(run.n_epochs)[name] for name in epochs)
    for method in methods
    for by in partitions
    if number in run.epochs and analyses.applies(method, run)
}
n_left = results.measure_some(list(places.values()), within, policy)
if n_left:
    st.progress(
        1 - n_left / len(places),
        f"Measuring: {len(places) - n_left} of {len(places)} tables of distances",
    )
    st.rerun()


def measure(run: Run, epoch: int, method: str, by: str) -> pd.DataFrame | None:
    """Return what was measured above."""
    return results.measured(places[run.name, run.model, epoch, method, by], within, policy)


def join() -> tuple[pd.DataFrame, list[tuple[str, analyses.MissingDistances]]]:
    """Put the tables of all methods and partitions below each other."""
    tables, missing = [], []
    for method in methods:
        for by in partitions:
            table, holes = analyses.bias_by_model(
                runs, method, by, epochs=epochs, policy=policy, measure=measure
            )
            tables.append(table)
            missing += [(method, hole) for hole in holes if (method, hole) not in missing]
    return pd.concat(tables, ignore_index=True), missing


key = repr(
    (epochs, methods, partitions, [(at, item.key(within, policy)) for at, item in places.items()])
)
table, missing = results.joined(key, join)
missing = [hole for method, hole in missing if method == chosen.method]

if table.empty:
    st.info(f"No {chosen.method} distances are computed for {chosen.spec.title} yet.")
else:
    own = table[(table["method"] == chosen.method) & (table["by"] == chosen.by)]
    rule = f"{analyses.MIX_RULE} of {within}" if within else analyses.RULE
    if len(own):
        st.markdown(
            "#### "
            f"{plain(analyses.verdict_over_models(own, rule=rule, kind=chosen.partition_title))}"
        )
    else:
        st.info(
            plain(f"No {chosen.method} distances are computed yet; the other methods are below.")
        )
    is_labeled = values.toggle(
        "Numbers",
        value=table["group"].nunique() <= MOST_LABELED,
        help="Sigma in each cell.",
        key=f"numbers {sheet}",
    )
    across, down = {
        EPOCHS: ("epoch", None),
        METHODS: ("method", None),
        BOTH: ("epoch", "method"),
        PARTITIONS: ("epoch", "by"),
    }[sheet]

    def follow_click() -> None:
        """Make the cell that was clicked the selection of all pages."""
        points = st.session_state["chart heatmap"]["selection"].get(CELL)
        if points and points[0] != st.session_state.get("clicked cell"):
            point = st.session_state["clicked cell"] = points[0]
            picks = {name: str(point[name]) for name in ("model", "run", "method", "by", "group")}
            selection.put(**picks, epoch=str(int(point["epoch_number"])))

    pointed = st.container()  # what was clicked stands above the sheet, in sight on a projector
    with show.scrolled("heatmap"):
        drawn = show.chart(
            bias_heatmap(
                table,
                columns=across,
                rows=down,
                groups=order_of_groups(table, by_what, model=chosen.model),
                labels=is_labeled,
                width=ROOM,
            ),
            "heatmap",
            table=table,
            width="content",
            alt=f"Sigma of each group for each model, {sheet} side by side.",
            on_select=follow_click,
            selection_mode=[CELL],
        )
    points = drawn["selection"].get(CELL)
    cell = analyses.find_cell(table, points[0]) if points else None
    with pointed.container(border=True, horizontal=True, vertical_alignment="center"):
        if cell is None:
            st.caption(
                "Click a cell for its numbers, its curves and its images. Without a mouse: pick "
                "them in the sidebar."
            )
        else:
            st.markdown(
                plain(analyses.say_cell(cell, kind=chosen.partition_title)), width="stretch"
            )
            st.page_link(menu.page("Curves"), label="Its curves", icon=":material/show_chart:")
            st.page_link(menu.page("Images"), label="Its images", icon=":material/image:")
    sizes = table["n"].dropna()
    mixed = (
        (
            f" Sigma is at a common mix of {within}: the group and the rest of it are "
            "re-weighted. There is no test of it, so a ring says that the 95% interval covers 0; "
            "hatched groups have too few images in one part of the mix."
        )
        if within
        else (
            f" Ring: no difference shown ({analyses.RULE} over the groups of one model, epoch and "
            "method; not over all cells)."
        )
    )
    st.caption(
        plain(
            f"n = {int(sizes.min()):,} to {int(sizes.max()):,} test images a cell. Red is less "
            f"robust than the rest, blue more; colors end at the largest value or at 1.{mixed} "
            f"Hatched: fewer than {inference.FEWEST} images count. Dash: not computed. Intervals "
            "are over test images for one trained model."
        )
    )
if missing:
    names = [f"{item.run.model} epoch {item.epoch}" for item in missing]
    named = ", ".join([*names[:MOST_NAMED], *(["..."] if len(names) > MOST_NAMED else [])])
    missing_data.offer_estimates(
        [replace(chosen, model=item.run.model, run=item.run, epoch=item.epoch) for item in missing],
        f"Distances are missing, or cover a part of the test images only, for: {named}.",
        f"Compute the {len(missing)} missing",
    )
left_out = [run.model for run in runs if not analyses.applies(chosen.method, run)]
if left_out:
    st.caption(
        plain(
            f"Left out, since {chosen.method} applies to linear models only: {', '.join(left_out)}."
        )
    )
st.caption(chosen.spec.caution)
