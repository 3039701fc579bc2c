"""Curves: which group lies closest to the decision boundary, by how much, and how sure that is."""

import numpy as np
import streamlit as st

import rbcore as rb
from pages.shell import definitions, results, selection
from pages.shell.text import plain
from rbcore import inference
from rbcore.charts import bias_intervals, robustness_curves, tau_grid

LEAST = "least robust"

chosen = selection.current()
st.title("Robustness curves", anchor=False)
st.caption(f"{chosen.title}. {chosen.method_note}")
stored = results.distances(chosen)
rows = stored.rows

policy = definitions.pick()
bias = results.bias(stored.checksum, chosen.by, repr(policy), rows, policy)
st.markdown(f"#### {plain(rb.verdict(bias))}")
n_test, n_failed = chosen.run.facts["n_test"], int(bias["n_failed"].sum())
coverage = f"{len(rows):,} of {n_test:,} test images" if len(rows) < n_test else f"all {n_test:,} test images"
st.caption(
    f"n = {coverage}; {rows['is_correct'].mean():.1%} classified correctly; {n_failed} without a distance. "
    f"Intervals are over test images for this one trained model, not corrected for comparing {len(bias)} groups."
)

taus = tau_grid(rows, policy)
left, right = st.columns([3, 1], vertical_alignment="bottom")
middle = 0.0 if rows["distance"].isna().all() else min(float(rows["distance"].median()), float(taus[-1]))
tau = left.slider("Attack budget tau (L2)", 0.0, float(taus[-1]), middle, float(taus[1]))
with right:
    group = selection.picker("Highlight", "group", [LEAST, *bias["group"]])
least = inference.least_robust(bias)
highlight = group if group != LEAST else None if least is None else least["group"]
st.altair_chart(
    robustness_curves(rows, chosen.by, policy=policy, tau=tau, highlight=highlight),
    width="stretch",
    alt=f"One curve a group: share of images that are correct and farther than tau from the boundary. {rb.verdict(bias)}",
)

st.subheader("Bias of each group", anchor=False)
at_tau = inference.curves(rows, chosen.by, taus=np.array([tau]), policy=policy)
intervals = [
    f"[{row.low:+.2f}, {row.high:+.2f}]" if row.is_ranked and np.isfinite(row.high - row.low) else verdict
    for row, verdict in zip(bias.itertuples(), inference.verdicts(bias), strict=True)
]
table = bias.assign(interval=intervals, safe=at_tau["share"].to_numpy(), rb=at_tau["rb"].to_numpy())
st.altair_chart(
    bias_intervals(bias),
    width="stretch",
    alt="Sigma of each group with its 95% interval; left of zero is less robust than the rest.",
)
st.dataframe(
    table[["group", "n", "accuracy", "auc", "sigma", "interval", "safe", "rb"]],
    hide_index=True,
    height="content",
    column_config={
        "group": st.column_config.TextColumn(chosen.partition_title, pinned=True),
        "n": st.column_config.NumberColumn("n", help="Test images of the group"),
        "accuracy": st.column_config.NumberColumn("accuracy", format="percent"),
        "auc": st.column_config.NumberColumn("AUC", format="%.3f", help="Area under I_P(tau), L2"),
        "sigma": st.column_config.NumberColumn(
            "sigma", format="%+.2f", help="(AUC - AUC of the rest) / AUC of the rest"
        ),
        "interval": st.column_config.TextColumn("95% interval", help="Percentile bootstrap over test images"),
        "safe": st.column_config.NumberColumn(f"safe at {tau:.2f}", format="percent", help="I_P(tau)"),
        "rb": st.column_config.NumberColumn(f"RB at {tau:.2f}", format="%.3f", help="RB(P, tau), among correct images"),
    },
)
if n_failed:
    st.caption(
        "If the images without a distance had counted worst and best for a group, sigma would lie in: "
        + "; ".join(f"{plain(row.group)} [{row.failed_low:+.2f}, {row.failed_high:+.2f}]" for row in bias.itertuples())
    )
st.caption(chosen.spec.caution)
with st.expander("Where these numbers come from"):
    st.json({"key": stored.key_facts, "provenance": stored.provenance, "checksum": stored.checksum}, expanded=2)
