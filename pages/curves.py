"""Curves: which group lies closest to the decision boundary, by how much, and how sure that is."""

import numpy as np
import streamlit as st

import rbcore as rb
from pages.shell import definitions, results, selection, show
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
p_global = inference.p_in_words(bias["p_global"].iloc[0])
n_test, n_failed = chosen.run.facts["n_test"], int(bias["n_failed"].sum())
coverage = f"{len(rows):,} of {n_test:,} test images" if len(rows) < n_test else f"all {n_test:,} test images"
st.caption(
    f"n = {coverage}; {rows['is_correct'].mean():.1%} classified correctly. {rb.outcomes_in_words(rows, chosen.method)} "
    "Intervals and tests are over test images for this one trained model. Any difference between the groups: "
    f"{p_global}."
)

taus = tau_grid(rows, policy)
left, right = st.columns([3, 1], vertical_alignment="bottom")
middle = 0.0 if rows["distance"].isna().all() else min(float(rows["distance"].median()), float(taus[-1]))
tau = left.slider("Attack budget tau (L2)", 0.0, float(taus[-1]), middle, float(taus[1]))
with right:
    group = selection.picker("Highlight", "group", [LEAST, *bias["group"]])
least = inference.least_robust(bias)
highlight = group if group != LEAST else None if least is None else least["group"]
whole = st.toggle(
    "Band for the whole curve", help="Holds at all tau at once (Dvoretzky-Kiefer-Wolfowitz) and is wider."
)
band = "simultaneous" if whole else "pointwise"
show.chart(
    robustness_curves(rows, chosen.by, policy=policy, tau=tau, highlight=highlight, band=band),
    "curves",
    table=inference.curves(rows, chosen.by, taus=taus, policy=policy, band=band),
    alt=f"One curve a group: share of images that are correct and farther than tau from the boundary. {rb.verdict(bias)}",
)

holds = "at all tau at once (Dvoretzky-Kiefer-Wolfowitz)" if whole else "at any one tau (pointwise, Clopper-Pearson)"
st.caption(f"The 95% band holds {holds}, for one group.")

st.subheader("Bias of each group", anchor=False)
at_tau = inference.curves(rows, chosen.by, taus=np.array([tau]), policy=policy)
intervals = [
    f"[{row.low:+.2f}, {row.high:+.2f}]"
    if row.is_ranked and np.isfinite(row.high - row.low)
    else inference.UNDEFINED
    if row.is_ranked
    else inference.TOO_FEW
    for row in bias.itertuples()
]
table = bias.assign(
    interval=intervals,
    verdict=inference.verdicts(bias),
    safe=at_tau["share"].to_numpy(),
    rb=at_tau["rb"].to_numpy(),
)
show.chart(
    bias_intervals(bias),
    "sigma",
    table=bias,
    alt="Sigma of each group with its 95% interval; left of zero is less robust than the rest.",
)
st.dataframe(
    table[["group", "n", "accuracy", "auc", "sigma", "interval", "p_holm", "verdict", "safe", "rb"]],
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
        "interval": st.column_config.TextColumn("95% interval", help="Symmetric bootstrap-t over test images"),
        "p_holm": st.column_config.NumberColumn(
            "p (Holm)", format="%.4f", help="p of sigma = 0, after Holm's correction"
        ),
        "verdict": st.column_config.TextColumn("verdict", help="At level 5%, after Holm's correction over the groups"),
        "safe": st.column_config.NumberColumn(f"safe at {tau:.2f}", format="percent", help="I_P(tau)"),
        "rb": st.column_config.NumberColumn(f"RB at {tau:.2f}", format="%.3f", help="RB(P, tau), among correct images"),
    },
)
if n_failed:
    st.caption(
        "If the images without a distance had counted worst and best for a group, sigma would lie in: "
        + "; ".join(f"{plain(row.group)} [{row.failed_low:+.2f}, {row.failed_high:+.2f}]" for row in bias.itertuples())
    )
optimistic = bias.loc[bias["is_optimistic"] & bias["is_ranked"], "group"]
if len(optimistic):
    st.caption(
        f"Fewer than {inference.FEWEST_CORRECT} correct images in the group or its rest, so the interval is optimistic: "
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
    st.json({"key": stored.key_facts, "provenance": stored.provenance, "checksum": stored.checksum}, expanded=2)
