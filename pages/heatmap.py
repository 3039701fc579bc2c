"""Heatmap: which groups are less robust for all models, and does it stay so from the first epoch to the last."""

from dataclasses import replace

import streamlit as st

from pages.shell import definitions, jobs, results, selection, show, tasks
from pages.shell.text import plain
from rbcore import analyses
from rbcore.charts import bias_heatmap

chosen = selection.current()
st.title("Models and epochs", anchor=False)
st.caption(
    f"{chosen.spec.title} · by {chosen.partition_title} · {chosen.method} · newest complete run of each model on the same data"
)
runs = analyses.comparable_runs(chosen.dataset, chosen.run)
if not runs:
    results.say_untrained("model", chosen)
    st.stop()
policy = definitions.pick()
table, missing = analyses.bias_by_model(runs, chosen.method, chosen.by, policy=policy)
if table.empty:
    st.info(f"No {chosen.method} distances are computed for {chosen.spec.title} yet.")
else:
    st.markdown(f"#### {plain(analyses.verdict_over_models(table))}")
    show.chart(
        bias_heatmap(table),
        "heatmap",
        table=table,
        width="content",
        alt="Sigma of each group for each model at first, middle and last epoch.",
    )
    st.caption(
        f"n = {int(table['n'].min()):,} to {int(table['n'].max()):,} test images a cell (hover for each cell's n and interval). "
        "Sigma of each group: red is less robust than the rest, blue more; colours end at the largest value or at 1. Grey "
        "figures: no difference shown (studentised permutation test, 5% after Holm's correction over the groups of one model and "
        "epoch, not over models and epochs). A dash: not computed yet. Intervals are over test images for one trained model."
    )
if missing:
    names = ", ".join(f"{item.run.model} epoch {item.epoch}" for item in missing[:6]) + (
        ", ..." if len(missing) > 6 else ""
    )
    st.info(plain(f"Distances are missing, or cover a part of the test images only, for: {names}."))
    if st.button(f"Compute the {len(missing)} missing", type="primary"):
        for item in missing:
            tasks.submit_estimate(replace(chosen, model=item.run.model, run=item.run, epoch=item.epoch))
active = tuple(job.key for job in jobs.runner().active())
if active:
    jobs.watch(active)
left_out = [run.model for run in runs if not analyses.applies(chosen.method, run)]
if left_out:
    st.caption(plain(f"Left out, since {chosen.method} applies to linear models only: {', '.join(left_out)}."))
for job in list(jobs.runner().jobs.values()):
    if job.state == jobs.FAILED and job.key.startswith(f"estimate {chosen.dataset} "):
        jobs.show_job(job)
st.caption(chosen.spec.caution)
