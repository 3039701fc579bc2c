"""Curves: which group lies closest to the decision boundary, by how much, and how sure that is."""

import numpy as np
import pandas as pd
import streamlit as st

from pages.shell import definitions, menu, missing_data, results, selection, show
from pages.shell.text import plain
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

LEAST, ALL = "least robust", "all groups"
CURVES, RB, PANELS = "I_P(tau)", "RB(P, tau)", "all models and methods"
DECIMALS = 4

chosen = selection.current()
st.title("Robustness curves", anchor=False)
st.caption(f"{plain(chosen.title)}. {chosen.method_note}")
stored = results.distances(chosen)
rows = stored.rows

policy = definitions.pick()
bias = results.bias(stored.checksum, chosen.by, repr(policy), rows, policy)
says = verdict(bias, kind=chosen.partition_title)
st.markdown(f"#### {plain(says)}")
p_global = wording.p_in_words(bias["p_global"].iloc[0])
n_test, n_failed = chosen.run.facts["n_test"], int(bias["n_failed"].sum())
coverage = (
    f"{len(rows):,} of {n_test:,} test images"
    if len(rows) < n_test
    else f"all {n_test:,} test images"
)
st.caption(
    f"n = {coverage}; {wording.accuracy_in_words(rows)}. {statuses_in_words(rows, chosen.method)} "
    "Intervals and tests are over test images for this one trained model. Any difference between "
    f"the groups: {p_global}."
)

drawn = sampling.in_words(rows, group_labels(rows, chosen.by))
if drawn:
    st.caption(plain(drawn))
few = wording.too_few_but_lower(bias)
if len(few) and len(rows) < n_test:
    missing_data.offer_more(chosen, [str(group) for group in few["group"]])

taus = tau_grid(rows, policy)
middle = (
    0.0 if rows["distance"].isna().all() else min(float(rows["distance"].median()), float(taus[-1]))
)
left, middle_column, right = st.columns([2, 1, 1], vertical_alignment="bottom")
tau = left.slider("Attack budget tau (L2)", 0.0, float(taus[-1]), middle, float(taus[1]))
with middle_column:
    group = selection.picker("Highlight", "group", [LEAST, *bias["group"]])
with right:
    figure = selection.picker("Show", "figure", [CURVES, RB, PANELS])
least = wording.least_robust(bias)
highlight = group if group != LEAST else None if least is None else least["group"]


def show_curves() -> None:
    """Draw I_P(tau) or RB(P, tau) of every group.

    A click picks the group, a brush on tau the images.
    """
    lead = st.container()  # where the brush leads stands above the chart, in sight on a projector
    slot = st.container()
    whole = figure == CURVES and st.toggle(
        "Band for the whole curve",
        help="Holds at all tau at once (Dvoretzky-Kiefer-Wolfowitz) and is wider.",
    )
    band = "simultaneous" if whole else "pointwise"
    table = results.curves(
        stored.checksum, chosen.by, repr(policy), tuple(taus), band, rows, policy
    )
    name, draw = ("curves", curves_chart) if figure == CURVES else ("RB", rb_chart)

    def follow_click() -> None:
        """Highlight the group that was clicked, once: the picker may say another since."""
        picked = clicked_group(st.session_state[f"chart {name}"]["selection"].get(CLICK, []), table)
        if picked is not None and picked != st.session_state.get("clicked group"):
            selection.put(group=picked)
        st.session_state["clicked group"] = picked

    with slot:
        drawn = show.chart(
            draw(table, tau=tau, highlight=highlight),
            name,
            table=table,
            alt=(
                "One curve a group: share of images that are correct and farther than tau from "
                f"the boundary. {says}"
            )
            if figure == CURVES
            else (
                "One curve a group: by how much its share of correct images beyond tau differs "
                "from that of all others."
            ),
            on_select=follow_click,
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
    if len(bias) > MOST_COLORED:
        st.caption(
            f"{len(bias)} groups: gray, but the highlighted one. Hover for a name, click a "
            "curve to highlight it."
        )
    with lead:
        lead_to_images(drawn["selection"].get(BRUSH, {}).get("tau"))


def lead_to_images(ends: list[float] | None) -> None:
    """Say how many images lie in the brushed interval of tau, and open exactly these."""
    if not ends or len(ends) < 2:
        st.caption(
            "Drag across the chart to pick an interval of tau: exactly these images open "
            "on the Images page."
        )
        return
    low, high = (round(max(0.0, end), DECIMALS) for end in sorted(ends))
    is_between = rows["distance"].between(low, high)
    labels = group_labels(rows, chosen.by)
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f"Between tau = {low:g} and {high:g} (L2) lie")
        for of in dict.fromkeys([highlight or ALL, ALL]):
            is_member = np.full(len(rows), True) if of == ALL else (labels == of).to_numpy()
            n_between = int((is_between & is_member).sum())
            name = of if of == ALL else wording.name_of_group(of, chosen.partition_title)
            text = plain(f"{n_between:,} of {int(is_member.sum()):,} test images of {name}")
            if st.button(
                f"{text}: open them",
                disabled=not n_between,
                key=f"open {of}",
                on_click=selection.put,
                kwargs={"group": of, "from": low, "to": high},
            ):
                menu.go("Images")


def show_panels() -> None:
    """Draw the curves of all models and methods that are computed at the last epoch."""
    runs = analyses.comparable_runs(chosen.dataset, chosen.run)
    stamps = results.stamps()
    places = {
        (run.model, method): results.place(stamps, run, run.n_epochs, method, chosen.by)
        for method in results.computed_methods(stamps, runs)
        for run in runs
    }
    places = {at: item for at, item in places.items() if item.stamp is not None}
    if not places:
        st.info(f"No distances of a last epoch are computed for {chosen.spec.title} yet.")
        return

    def join() -> pd.DataFrame:
        tables = {at: results.rows_at(item) for at, item in places.items()}
        return analyses.curves_by_panel(tables, chosen.by, policy=policy)

    table = results.joined(
        repr([("curves", at, item.key("", policy)) for at, item in places.items()]), join
    )
    table["panel"] = (
        table["model"] + " · " + table["method"] + table["n_panel"].map(" (n = {:,})".format)
    )
    with show.scrolled("panels"):
        show.chart(
            curves_grid(table, highlight=highlight),
            "models and methods",
            table=table.drop(columns="panel"),
            width="content",
            alt=(
                "Curves of every group, small, for each model and method that is "
                "computed, on the same axes."
            ),
        )
    st.caption(
        plain(
            f"Computed: {len(places)} panels of {len(runs)} models and "
            f"{table['method'].nunique()} methods, at the last epoch of the newest complete run "
            f"of each model on the same data. tau ends where {analyses.SHOWN_SHARE:.0%} of the "
            "distances of every panel do. A certificate speaks of the smoothed classifier, an "
            "attack of the network itself: do not read one as a bound of the other. No bands "
            "here: pick a model and a method for them."
        )
    )


if figure == PANELS:
    show_panels()
else:
    show_curves()

st.subheader("Bias of each group", anchor=False)
at_tau = results.curves(stored.checksum, chosen.by, repr(policy), (tau,), "pointwise", rows, policy)
intervals = [
    f"[{row.low:+.2f}, {row.high:+.2f}]"
    if row.is_ranked and np.isfinite(row.high - row.low)
    else wording.UNDEFINED
    if row.is_ranked
    else wording.NEVER_TRAINED
    if row.n_train == 0
    else wording.TOO_FEW
    for row in bias.itertuples()
]
table = bias.assign(
    interval=intervals,
    verdict=wording.verdicts(bias),
    safe=at_tau["share"].to_numpy(),
    rb=at_tau["rb"].to_numpy(),
)
ends = lowest_and_highest(bias)
show.chart(
    bias_intervals(ends),
    "sigma",
    table=bias,
    alt="Sigma of each group with its 95% interval; left of zero is less robust than the rest.",
)
if len(ends) < len(bias):
    st.caption(
        f"Drawn: the {len(ends) // 2} groups of lowest and the {len(ends) // 2} of highest sigma, "
        f"of {len(bias)}; all are in the table below, which sorts by a click on a heading."
    )
st.dataframe(
    table[
        ["group", "n", "accuracy", "auc", "sigma", "interval", "p_holm", "verdict", "safe", "rb"]
    ],
    hide_index=True,
    height="content" if len(table) <= MOST_COLORED else 420,
    column_config={
        "group": st.column_config.TextColumn(chosen.partition_title, pinned=True),
        "n": st.column_config.NumberColumn("n", help="Test images of the group"),
        "accuracy": st.column_config.NumberColumn("accuracy", format="percent"),
        "auc": st.column_config.NumberColumn("AUC", format="%.3f", help="Area under I_P(tau), L2"),
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
if n_failed:
    st.caption(
        (
            "If the images without a distance had counted worst and best for a group, "
            "sigma would lie in: "
        )
        + "; ".join(
            f"{plain(row.group)} [{row.failed_low:+.2f}, {row.failed_high:+.2f}]"
            for row in bias.itertuples()
        )
    )
optimistic = bias.loc[bias["is_optimistic"] & bias["is_ranked"], "group"]
if len(optimistic):
    st.caption(
        (
            f"Fewer than {inference.FEWEST_CORRECT} correct images in the group or its rest, so "
            "the interval is optimistic: "
        )
        + plain(", ".join(optimistic))
    )
with st.expander("How is this calculated?"):
    st.markdown(
        f"""
- **Interval of sigma.** The test images of every group are drawn anew {inference.N_RESAMPLES:,} times, as many as there are. Each
  time the change of log(AUC / AUC of the rest) is divided by its standard error; the size that 95% of these stay below gives
  the interval (symmetric bootstrap-t, slightly widened for small groups by Student's t).
- **p.** The images are dealt out to groups of the same sizes {inference.N_PERMUTATIONS:,} times at random. p is the share of deals in which
  the log ratio, divided by its standard error, is at least as far from 0 as here. So it tests sigma = 0, also where the groups
  have distances of different spread. The smallest p is 1 / {inference.N_PERMUTATIONS + 1:,}.
- **Correction.** Among many groups one will look different by chance. p is after Holm's correction: at 5%, the chance of any false
  claim about these groups is at most 5%. The p for any difference between the groups comes from the largest difference in each deal.
- **Too few.** Groups in which fewer than {inference.FEWEST} images count are not tested.
- **What it does not say.** All this is over test images. Training again with another seed may move sigma more.
"""
    )
st.caption(chosen.spec.caution)
with st.expander("Where these numbers come from"):
    st.json(
        {
            "key": stored.key.model_dump(mode="json"),
            "provenance": stored.provenance.model_dump(mode="json", exclude_none=True),
            "checksum": stored.checksum,
        },
        expanded=2,
    )
