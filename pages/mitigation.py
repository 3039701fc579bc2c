"""Mitigation: what did it change? The same test images under the plain and the mitigated model, and what it cost."""

import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import definitions, jobs, results, selection, show, tasks
from pages.shell.text import plain as as_text
from rbcore import analyses
from rbcore.best import BEST, title_of
from rbcore.charts import BIASES, MEASURES, before_after_curves, changes_chart, tau_grid, trade_off_chart
from rbcore.models.checkpoints import Run
from rbcore.partitions import group_labels, group_order

TRUSTED = ("minimal", "exact")
# They share nothing with the linearisation that a fairness term is trained on.
USUAL_TAU = 0.5

chosen = selection.current()


@st.cache_data(max_entries=64, show_spinner="Comparing the two models")
def compared(
    checksums: tuple[str, str],
    by: str,
    group: str,
    policy_text: str,
    _tables: tuple[pd.DataFrame, pd.DataFrame],
    _policy: rb.Policy,
) -> analyses.Effect:
    """Return `analyses.compare`, kept by the checksums of the rows."""
    return analyses.compare(*_tables, by, group, policy=_policy)


def with_ends(value: float, low: float, high: float, form: str) -> str:
    """Return a number with its interval as text, as far as they are defined."""
    return f"{value:{form}} [{low:{form}}, {high:{form}}]" if np.isfinite(high - low) else f"{value:{form}}"


@st.cache_data(max_entries=64, show_spinner="Measuring all runs")
def traded(
    checksums: tuple[str | None, ...],
    by: str,
    group: str,
    method: str,
    epoch: int,
    tau: float,
    policy_text: str,
    _runs: list[Run],
    _policy: rb.Policy,
) -> tuple[pd.DataFrame, list[Run]]:
    """Return `analyses.trade_off`, kept by the checksums of the rows."""
    return analyses.trade_off(_runs, by, group, method, epoch, tau=tau, policy=_policy)


def offer(missing: list[Run]) -> None:
    """Say whose distances are missing, and offer the jobs that compute them."""
    wanted = [replace(chosen, run=run) for run in missing]
    names = ", ".join(run.name for run in missing)
    st.info(as_text(f"Distances by {chosen.method} at epoch {chosen.epoch} are not computed yet for: {names}."))
    if chosen.method == BEST:
        return
    if st.button(f"Compute the {len(missing)} missing", type="primary"):
        for want in wanted:
            tasks.submit_estimate(want)
    keys = tuple(tasks.estimate_key(want) for want in wanted)
    active = tuple(key for key in keys if jobs.runner().is_active(key))
    if active:
        jobs.watch(active)
    for key in keys:
        job = jobs.runner().jobs.get(key)
        if job is not None and job.state in (jobs.FAILED, jobs.CANCELLED):
            jobs.show_job(job)


def command_for(run: Run) -> str:
    """Return the command that trains a mitigated run beside a plain one."""
    facts = run.facts
    parts = ["python", "-m", "rbcore", "train", run.dataset, run.model, "--regularize", f"{chosen.by}=GROUP"]
    parts += ["--alpha", "1", "--tau", f"{USUAL_TAU}", "--recipe", facts["recipe"]["name"], "--epochs", run.n_epochs]
    parts += ["--size", facts["size"], "--seed", facts["seed"]]
    parts += ["--validation", facts["validation"]] if facts["validation"] else []
    parts += ["--weights", facts["weights"]] if " " not in facts["weights"] else []
    return shlex.join(str(part) for part in parts)


st.title("Mitigation", anchor=False)
if chosen.run is None:
    results.say_untrained(chosen.model, chosen)
    st.stop()
st.caption(f"{chosen.title}. {chosen.method_note}")
before = analyses.plain_of(chosen.run)
if before is None:
    st.info(
        as_text(
            f"The run {chosen.run.name} was trained with {analyses.mitigation_in_words(chosen.run)}, but its plain run (same "
            "images, split, recipe, seed, epochs and start) is not here. Train it, or pick another run in the sidebar."
        )
    )
    st.stop()
siblings = analyses.mitigated_runs(before)
if not siblings:
    st.info(
        as_text(
            f"Beside the plain run {before.name} there is no mitigated one with the same images, split, recipe, seed, epochs "
            "and start, so there is nothing to compare. This command trains one; put in the group to protect:"
        )
    )
    st.code(command_for(before), language="bash", wrap_lines=True)
    st.stop()

left, right = st.columns([2, 1])
if chosen.run.is_plain:
    with left:
        name = selection.picker("Mitigated run", "mitigated", [run.name for run in siblings])
    after = next(run for run in siblings if run.name == name)
else:
    after = chosen.run
    left.caption(as_text(f"The run of the sidebar, {after.name}, is compared with its plain one, {before.name}."))
for run in (before, after):
    if chosen.epoch not in run.epochs:
        kept = ", ".join(str(epoch) for epoch in sorted(set(before.epochs) & set(after.epochs))) or "none"
        st.info(as_text(f"The run {run.name} keeps no checkpoint of epoch {chosen.epoch}. Both runs keep: {kept}."))
        st.stop()
stored = [rb.stored_distances(run, chosen.epoch, chosen.method) for run in (before, after)]
missing = [run for run, found in zip((before, after), stored, strict=True) if found is None]
if missing:
    offer(missing)
    both = set(rb.stored_methods(before, chosen.epoch)) & set(rb.stored_methods(after, chosen.epoch))
    for method in sorted(both, key=lambda name: (not name.startswith(TRUSTED), name))[:3]:
        st.button(f"Show {method}, computed for both", on_click=selection.put, kwargs={"method": method})
    st.stop()

first, second = stored
policy = definitions.pick()
by, protected = analyses.protected_by(after)
groups = group_order(group_labels(first.rows, chosen.by))
default = [protected] if by == chosen.by and protected in groups else []
with right:
    group = selection.picker("Protected group", "group", list(dict.fromkeys([*default, *groups])))
effect = compared((first.checksum, second.checksum), chosen.by, group, repr(policy), (first.rows, second.rows), policy)
st.markdown(f"#### {as_text(analyses.verdict_on_mitigation(effect))}")
st.markdown(as_text(analyses.parts_in_words(effect)))
notes = [f"After: {analyses.mitigation_in_words(after)}."]
if by is not None and (by != chosen.by or protected not in (None, group)):
    notes.append(f"It was trained for {by} = {protected or 'all groups'}, which is not the group shown here.")
if effect.n < before.facts["n_test"]:
    notes.append(f"Only {effect.n:,} of {before.facts['n_test']:,} test images have distances under both models.")
notes.append(rb.outcomes_in_words(second.rows, chosen.method))
st.caption(as_text(" ".join(notes)))
if chosen.method.split(":")[0].split(" ")[0] not in TRUSTED:
    st.info(
        as_text(
            f"These distances are by {title_of(chosen.method)}. The check that counts is minimal, an attack that shares nothing with "
            "the linearisation a fairness term is trained on: pick it in the sidebar."
        )
    )

settings = after.mitigation or {}
tau = settings.get("tau") or USUAL_TAU
taus = tau_grid(pd.concat([first.rows, second.rows]), policy)
curves = analyses.curves_of_sides(first.rows, second.rows, chosen.by, group, taus=taus, policy=policy)
show.chart(
    before_after_curves(curves, titles=("plain", "mitigated"), tau=settings.get("tau")),
    "before and after",
    table=curves,
    alt=f"Two panels, before and after: share of images that are correct and farther than tau. {analyses.verdict_on_mitigation(effect)}",
)
st.caption(
    "Bands: 95% at any one tau (Clopper-Pearson)."
    + (f" Dashed: tau = {settings['tau']:g}, where the term compared the groups." if "tau" in settings else "")
)

st.subheader("What moved", anchor=False)
with st.container(horizontal=True):
    measure = selection.picker("Measure", "measure", list(MEASURES))
show.chart(
    changes_chart(effect.changes, measure),
    "changes",
    table=effect.changes,
    alt=f"{MEASURES[measure][0]} of each side before and after, with the interval of the change.",
)
st.caption(
    "Open mark: plain; filled mark: mitigated. The bar is the 95% interval of the change, laid from the open mark: where it does not "
    "reach that mark, the change is shown (for one side at a time, not corrected for their number)."
)

st.subheader("What it cost", anchor=False)


def concerns(run: Run) -> bool:
    """Whether a run protects the group shown, all groups of its partition, or knows no group; or is the one compared."""
    its_by, its_group = analyses.protected_by(run)
    return run == after or its_by is None or (its_by == chosen.by and its_group in (None, group))


def pick_clicked() -> None:
    """Compare the run whose mark was clicked."""
    marks = st.session_state["chart trade-off"]["selection"]["run"]
    names = {run.name for run in siblings}
    if marks and marks[0]["run"] in names:
        selection.put(**{"mitigated" if chosen.run.is_plain else "run": marks[0]["run"]})


rivals = [before, *(run for run in siblings if concerns(run) and chosen.epoch in run.epochs)]
tables = [rb.stored_distances(run, chosen.epoch, chosen.method) for run in rivals]
checksums = tuple(table.checksum if table else None for table in tables)
which = (chosen.by, group, chosen.method, chosen.epoch, tau, repr(policy))
costs, lacking = traded(checksums, *which, rivals, policy)
bias = selection.picker("Bias as", "bias", list(BIASES))
show.chart(
    trade_off_chart(costs, bias=bias, compared=after.name, tau=tau),
    "trade-off",
    table=costs,
    alt=f"{bias} of {group} against accuracy, one mark for each of {len(costs)} runs, with intervals both ways.",
    on_select=pick_clicked,
    selection_mode=["run"],
)
if lacking:
    offer(lacking)
st.dataframe(
    pd.DataFrame(
        {
            "mitigation": costs["kind"],
            "setting": costs["setting"],
            "n": costs["n"],
            "sigma": [with_ends(row.sigma, row.low, row.high, "+.2f") for row in costs.itertuples()],
            "rb": [with_ends(row.rb, row.rb_low, row.rb_high, ".3f") for row in costs.itertuples()],
            "accuracy": [
                with_ends(row.accuracy, row.accuracy_low, row.accuracy_high, ".1%") for row in costs.itertuples()
            ],
            "auc_group": costs["auc_group"],
            "auc_rest": costs["auc_rest"],
            "run": costs["run"],
        }
    ),
    hide_index=True,
    height="content",
    column_config={
        "n": st.column_config.NumberColumn("n", help="Test images"),
        "sigma": st.column_config.TextColumn(f"sigma of {group}", help="With its 95% interval (bootstrap-t)"),
        "rb": st.column_config.TextColumn(f"RB at {tau:g}", help="RB(P, tau) among correct images, 95% (Newcombe)"),
        "accuracy": st.column_config.TextColumn("accuracy", help="Of all test images, 95% (Clopper-Pearson)"),
        "auc_group": st.column_config.NumberColumn(f"AUC of {group}", format="%.3f", help="L2"),
        "auc_rest": st.column_config.NumberColumn("AUC of the rest", format="%.3f", help="L2"),
    },
)
st.caption(chosen.spec.caution)
