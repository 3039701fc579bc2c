"""Curves: which group lies closest to the decision boundary, by how much, with what confidence."""

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from pages.shell import cache, charts, missing_data, navigation
from pages.shell.forms import picker
from pages.shell.selection import Selection, current, put
from pages.shell.text import escape_markdown, format_interval
from rbcore import analyses, inference, sampling, statuses_in_words, verdict, wording
from rbcore.charts import (
    BRUSH,
    CLICK,
    MOST_COLORED,
    bias_intervals,
    clicked_group,
    curves_chart,
    curves_grid,
    lowest_and_highest,
    rb_chart,
    tau_grid,
)
from rbcore.partitions import group_labels
from rbcore.runs.checkpoints import Run
from rbcore.store import StoredTable

LEAST, ALL = "least robust", "all groups"
CURVES, RB, PANELS = "I_P(tau)", "RB(P, tau)", "all models and methods"
DECIMALS = 4


def render(selection: Selection) -> None:
    """Draw the curves of every group, and sigma with its intervals and tests."""
    st.title("Robustness curves", anchor=False)
    st.caption(f"{escape_markdown(selection.title)}. {selection.method_note}")
    stored = missing_data.stored_or_stop(selection)
    bias = cache.bias(selection, stored)
    draw_verdict(selection, stored, bias)
    taus = tau_grid(stored.rows, selection.policy)
    tau, highlight, figure = pick_figure(stored, bias, taus)
    if figure == PANELS:
        draw_panels(selection, highlight)
    else:
        draw_curves(selection, stored, taus, figure, tau, highlight)
    st.subheader("Bias of each group", anchor=False)
    draw_bias(selection, stored, bias, tau)
    explain()
    st.caption(selection.spec.caution)
    with st.expander("Where these numbers come from"):
        st.json(
            {
                "key": stored.key.model_dump(mode="json"),
                "provenance": stored.provenance.model_dump(mode="json", exclude_none=True),
                "checksum": stored.checksum,
            },
            expanded=2,
        )


def draw_verdict(selection: Selection, stored: StoredTable, bias: pd.DataFrame) -> None:
    """Say which group is least robust, and of how many images."""
    rows, n_test = stored.rows, selection.run.facts.n_test
    st.markdown(f"#### {escape_markdown(verdict(bias, kind=selection.partition_title))}")
    of = f"{len(rows):,} of {n_test:,}" if len(rows) < n_test else f"all {n_test:,}"
    p_global = wording.p_in_words(bias["p_global"].iloc[0])
    st.caption(
        f"n = {of} test images; {wording.accuracy_in_words(rows)}. "
        f"{statuses_in_words(rows, selection.method)} Intervals and tests are over test images "
        f"for this one trained model. Any difference between the groups: {p_global}."
    )
    drawn = sampling.in_words(rows, group_labels(rows, selection.by))
    if drawn:
        st.caption(escape_markdown(drawn))
    few = wording.too_few_but_lower(bias)
    if len(few) and len(rows) < n_test:
        missing_data.offer_more_images(selection, [str(group) for group in few["group"]])


def pick_figure(
    stored: StoredTable, bias: pd.DataFrame, taus: np.ndarray
) -> tuple[float, str | None, str]:
    """Draw the controls; return tau, the highlighted group and the figure."""
    distances, end = stored.rows["distance"], float(taus[-1])
    middle = 0.0 if distances.isna().all() else min(float(distances.median()), end)
    left, center, right = st.columns([2, 1, 1], vertical_alignment="bottom")
    tau = left.slider("Attack budget tau (L2)", 0.0, end, middle, float(taus[1]))
    with center:
        group = picker("Highlight", "group", [LEAST, *bias["group"]])
    with right:
        figure = picker("Show", "figure", [CURVES, RB, PANELS])
    if group != LEAST:
        return tau, group, figure
    least = wording.least_robust(bias)
    return tau, None if least is None else least["group"], figure


def draw_curves(
    selection: Selection,
    stored: StoredTable,
    taus: np.ndarray,
    figure: str,
    tau: float,
    highlight: str | None,
) -> None:
    """Draw I_P(tau) or RB(P, tau) of every group; a click picks a group, a brush on tau images."""
    brushed = st.container()  # stands above the chart, in sight on a projector
    slot = st.container()
    whole = figure == CURVES and st.toggle(
        "Band for the whole curve",
        help="Holds at all tau at once (Dvoretzky-Kiefer-Wolfowitz) and is wider.",
    )
    band = "simultaneous" if whole else "pointwise"
    table = cache.curves(selection, stored, tuple(taus), band)
    name, chart = ("curves", curves_chart) if figure == CURVES else ("RB", rb_chart)
    with slot:
        events = charts.draw(
            chart(table, tau=tau, highlight=highlight),
            name,
            table=table,
            alt=describe_figure(selection, stored, figure),
            on_select=lambda: highlight_clicked(name, table),
            selection_mode=[CLICK, BRUSH],
        )
    if figure == CURVES:
        holds = (
            "at all tau at once (Dvoretzky-Kiefer-Wolfowitz)"
            if whole
            else "at any one tau (pointwise, Clopper-Pearson)"
        )
        st.caption(
            f"The 95% band holds {holds}, for one group. Dotted: the mean of the groups' curves, "
            "each group counting the same."
        )
    else:
        st.caption(
            "RB(P, tau) (eq. 2) is the absolute difference between the group and all others "
            "in the share of correct images farther than tau. Its 95% interval holds at any "
            "one tau (Newcombe's hybrid score), for one group, and starts at 0 where no "
            "difference is shown."
        )
    n_groups = table["group"].nunique()
    if n_groups > MOST_COLORED:
        st.caption(
            f"{n_groups} groups: all gray except the highlighted one. Hover for a name, click a "
            "curve to highlight it."
        )
    with brushed:
        link_to_images(selection, stored, highlight, events["selection"].get(BRUSH, {}).get("tau"))


def describe_figure(selection: Selection, stored: StoredTable, figure: str) -> str:
    """Return the text alternative of the curves."""
    if figure == RB:
        return (
            "One curve a group: by how much its share of correct images beyond tau differs from "
            "that of all others."
        )
    says = verdict(cache.bias(selection, stored), kind=selection.partition_title)
    return (
        "One curve a group: share of images that are correct and farther than tau from the "
        f"boundary. {says}"
    )


def highlight_clicked(chart: str, table: pd.DataFrame) -> None:
    """Highlight the group that was clicked, once: the picker may say another since."""
    points = st.session_state[f"chart {chart}"]["selection"].get(CLICK, [])
    clicked = clicked_group(points, table)
    if clicked is not None and clicked != st.session_state.get("clicked group"):
        put(group=clicked)
    st.session_state["clicked group"] = clicked


def link_to_images(
    selection: Selection, stored: StoredTable, highlight: str | None, ends: list[float] | None
) -> None:
    """Say how many images lie in the brushed interval of tau, and open exactly these."""
    if not ends or len(ends) < 2:
        st.caption(
            "Drag across the chart to pick an interval of tau; its images open on the Images page."
        )
        return
    low, high = (round(max(0.0, end), DECIMALS) for end in sorted(ends))
    is_between = stored.rows["distance"].between(low, high).to_numpy()
    labels = group_labels(stored.rows, selection.by)
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f"Between tau = {low:g} and {high:g} (L2):")
        for group in dict.fromkeys([highlight or ALL, ALL]):
            if group == ALL:
                is_member, name = np.full(len(labels), True), group
            else:
                is_member = (labels == group).to_numpy()
                name = wording.name_of_group(group, selection.partition_title)
            n_between, n = int((is_between & is_member).sum()), int(is_member.sum())
            text = escape_markdown(f"{n_between:,} of {n:,} test images of {name}")
            if st.button(
                f"{text}: open them",
                disabled=not n_between,
                key=f"open {group}",
                on_click=put,
                kwargs={"group": group, "from": low, "to": high},
            ):
                navigation.go("Images")


def draw_panels(selection: Selection, highlight: str | None) -> None:
    """Draw the curves of all models and methods that are computed at the last epoch."""
    runs = analyses.comparable_runs(selection.dataset, selection.run)
    panels = find_panels(selection, runs)
    if not panels:
        st.info(f"No distances of a last epoch are computed for {selection.spec.title} yet.")
        return
    table = panel_curves(panels)
    table["panel"] = (
        table["model"] + " · " + table["method"] + table["n_panel"].map(" (n = {:,})".format)
    )
    with charts.scrolled("panels"):
        charts.draw(
            curves_grid(table, highlight=highlight),
            "models and methods",
            table=table.drop(columns="panel"),
            width="content",
            alt=(
                "Curves of every group, small, for each model and method that is computed, on the "
                "same axes."
            ),
        )
    st.caption(
        escape_markdown(
            f"Computed: {len(panels)} panels of {len(runs)} models and "
            f"{table['method'].nunique()} methods, at the last epoch of the newest complete run "
            f"of each model on the same data. tau ends where {analyses.SHOWN_SHARE:.0%} of the "
            "distances of every panel do. A certificate concerns the smoothed classifier, an "
            "attack the network itself: do not read one as a bound of the other. No bands "
            "here: pick a model and a method for them."
        )
    )


def find_panels(selection: Selection, runs: list[Run]) -> dict[str, Selection]:
    """Return, by their cache keys, the models and methods that are computed at the last epoch."""
    known = cache.etags()
    panels = {}
    for method in cache.computed_methods(known, runs):
        for run in runs:
            panel = replace(selection, model=run.model, run=run, epoch=run.n_epochs, method=method)
            key = cache.cache_key(known, panel)
            if key is not None:
                panels[key] = panel
    return panels


def model_and_method(selection: Selection) -> tuple[str, str]:
    """Return what names a panel."""
    return selection.model, selection.method


@st.cache_data(max_entries=8, show_spinner=False, hash_funcs={Selection: model_and_method})
def panel_curves(panels: dict[str, Selection]) -> pd.DataFrame:
    """Return the curves of all panels, given by their cache keys."""
    selection = next(iter(panels.values()))
    tables = {model_and_method(panel): cache.rows_of(panel) for panel in panels.values()}
    return analyses.curves_by_panel(tables, selection.by, policy=selection.policy)


def draw_bias(selection: Selection, stored: StoredTable, bias: pd.DataFrame, tau: float) -> None:
    """Draw sigma of each group with its interval, and the table of all measures."""
    at_tau = cache.curves(selection, stored, (tau,))
    table = bias.assign(
        interval=[describe_interval(row) for row in bias.itertuples()],
        verdict=wording.verdicts(bias),
        safe=at_tau["share"].to_numpy(),
        rb=at_tau["rb"].to_numpy(),
    )
    ends = lowest_and_highest(bias)
    charts.draw(
        bias_intervals(ends),
        "sigma",
        table=bias,
        alt="Sigma of each group with its 95% interval; left of zero is less robust than the rest.",
    )
    if len(ends) < len(bias):
        st.caption(
            f"Drawn: the {len(ends) // 2} groups of lowest and the {len(ends) // 2} of highest "
            f"sigma, of {len(bias)}; all are in the table below. Click a heading to sort it."
        )
    draw_table(selection, table, tau)
    if bias["n_failed"].sum():
        bounds = "; ".join(
            f"{escape_markdown(row.group)} [{row.failed_low:+.2f}, {row.failed_high:+.2f}]"
            for row in bias.itertuples()
        )
        st.caption(
            "If the images without a distance had counted worst and best for a group, sigma would "
            f"lie in: {bounds}"
        )
    optimistic = bias.loc[bias["is_optimistic"] & bias["is_ranked"], "group"]
    if len(optimistic):
        st.caption(
            f"Fewer than {inference.FEWEST_CORRECT} correct images in the group or its rest, so "
            f"the interval is optimistic: {escape_markdown(', '.join(optimistic))}"
        )


def describe_interval(row) -> str:
    """Return the interval of sigma, or why there is none."""
    if not row.is_ranked:
        return wording.NEVER_TRAINED if row.n_train == 0 else wording.TOO_FEW
    return format_interval(row.low, row.high, "+.2f").strip() or wording.UNDEFINED


def draw_table(selection: Selection, table: pd.DataFrame, tau: float) -> None:
    """Draw all measures of each group."""
    columns = ["group", "n", "accuracy", "auc", "sigma", "interval", "p_holm", "verdict"]
    st.dataframe(
        table[[*columns, "safe", "rb"]],
        hide_index=True,
        height="content" if len(table) <= MOST_COLORED else 420,
        column_config={
            "group": st.column_config.TextColumn(selection.partition_title, pinned=True),
            "n": st.column_config.NumberColumn("n", help="Test images of the group"),
            "accuracy": st.column_config.NumberColumn("accuracy", format="percent"),
            "auc": st.column_config.NumberColumn(
                "AUC", format="%.3f", help="Area under I_P(tau), L2"
            ),
            "sigma": st.column_config.NumberColumn(
                "sigma", format="%+.2f", help="(AUC - AUC of the rest) / AUC of the rest"
            ),
            "interval": st.column_config.TextColumn(
                "95% interval", help="Symmetric bootstrap-t over test images"
            ),
            "p_holm": st.column_config.NumberColumn(
                "p (Holm)", format="%.4f", help="p of sigma = 0, after Holm's correction"
            ),
            "verdict": st.column_config.TextColumn(
                "verdict", help="At level 5%, after Holm's correction over the groups"
            ),
            "safe": st.column_config.NumberColumn(
                f"safe at {tau:.2f}", format="percent", help="I_P(tau)"
            ),
            "rb": st.column_config.NumberColumn(
                f"RB at {tau:.2f}", format="%.3f", help="RB(P, tau), among correct images"
            ),
        },
    )


def explain() -> None:
    """Draw how interval, p and correction are calculated."""
    with st.expander("How is this calculated?"):
        st.markdown(
            f"""
- **Interval of sigma.** The test images of every group are resampled {inference.N_RESAMPLES:,}
  times, as many as there are. Each time the change of log(AUC / AUC of the rest) is divided by its
  standard error; the size that 95% of these stay below gives the interval (symmetric bootstrap-t,
  slightly widened for small groups by Student's t).
- **p.** The images are assigned to groups of the same sizes {inference.N_PERMUTATIONS:,} times at
  random. p is the share of these permutations in which the log ratio, divided by its standard
  error, is at least as far from 0 as here. So it tests sigma = 0, also where the groups have
  distances of different spread. The smallest p is 1 / {inference.N_PERMUTATIONS + 1:,}.
- **Correction.** Among many groups one will look different by chance. p is after Holm's
  correction: at 5%, the chance of any false claim about these groups is at most 5%. The p for any
  difference between the groups comes from the largest difference in each permutation.
- **Too few.** Groups in which fewer than {inference.FEWEST} images count are not tested.
- **What it does not say.** All this is over test images. Training again with another seed may
  change sigma more.
"""
        )


render(current())
