"""Mitigation: what did it change? The same test images under the plain and the mitigated model, and what it cost."""

import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import definitions, menu, missing_data, read_only, results, selection, show
from pages.shell.text import plain
from rbcore import analyses, inference
from rbcore.charts import BIASES, MEASURES, changes_chart, side_curves, tau_grid, trade_off_chart
from rbcore.distances.best import title_of
from rbcore.partitions import group_labels, group_order
from rbcore.runs.checkpoints import Run

TRUSTED = (
    "minimal",
    "exact",
)  # share nothing with the linearization that a fairness term is trained on
USUAL_TAU = 0.5
N_OFFERED = 3
Tables = tuple[pd.DataFrame, pd.DataFrame]

chosen = selection.current()


@st.cache_data(max_entries=64, show_spinner="Comparing the two models")
def compare(
    checksums: tuple[str, str],
    by: str,
    group: str,
    policy_text: str,
    _tables: Tables,
    _policy: rb.Policy,
) -> analyses.Effect:
    """Return `analyses.compare`, kept by the checksums of the rows."""
    return analyses.compare(*_tables, by, group, policy=_policy)


@st.cache_data(max_entries=64, show_spinner="Measuring all runs")
def measure(
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


def with_ends(value: float, low: float, high: float, form: str) -> str:
    """Return a number with its interval as text, as far as they are defined."""
    return (
        f"{value:{form}} [{low:{form}}, {high:{form}}]"
        if np.isfinite(high - low)
        else f"{value:{form}}"
    )


def offer(missing: list[Run]) -> None:
    """Say whose distances are missing, and offer the jobs that compute them."""
    names = ", ".join(run.name for run in missing)
    missing_data.offer_estimates(
        [replace(chosen, run=run) for run in missing],
        f"Distances by {chosen.method} at epoch {chosen.epoch} are not computed yet for: {names}.",
        f"Compute the {len(missing)} missing",
    )


def groups_of(run: Run) -> list[str]:
    """Return the groups of the partition shown, as the distances of a run hold them.

    None where there are none.
    """
    methods = rb.stored_methods(run, run.n_epochs)
    stored = rb.stored_distances(run, run.n_epochs, methods[0]) if methods else None
    return [] if stored is None else list(group_order(group_labels(stored.rows, chosen.by)))


def say_nothing_to_compare(run: Run) -> None:
    """Say that there is no mitigated run beside a plain one, and which command trains one."""
    st.info(
        plain(
            f"Beside the plain run {run.name} there is no mitigated one of the same images, "
            "split, recipe, seed, epochs and start, so there is nothing to compare."
        )
    )
    facts = run.facts
    if facts["recipe"]["name"] == "imported":
        st.caption(
            "Its weights were imported, so none can be trained beside it here. Train "
            "a plain run first."
        )
        return
    if not read_only.is_read_only():
        st.page_link(
            menu.page("Compute"),
            label="Train one on the Compute page, under Mitigation",
            icon=":material/arrow_forward:",
        )
    st.caption(
        "So does this command; put one of the groups in the place of GROUP: "
        f"{plain(', '.join(groups_of(run)))}. What ships with the project has mitigated runs of "
        "small_cnn on toyfaces."
    )
    parts = [
        "python",
        "-m",
        "rbcore",
        "train",
        run.dataset,
        run.model,
        "--regularize",
        f"{chosen.by}=GROUP",
    ]
    parts += [
        "--alpha",
        1,
        "--tau",
        USUAL_TAU,
        "--recipe",
        facts["recipe"]["name"],
        "--epochs",
        run.n_epochs,
    ]
    parts += ["--size", facts["size"], "--seed", facts["seed"]]
    parts += ["--validation", facts["validation"]] if facts["validation"] else []
    st.code(shlex.join(str(part) for part in parts), language="bash", wrap_lines=True)


def find_siblings() -> tuple[Run, list[Run]]:
    """Return the plain run of the selection and its mitigated ones, or say that there are none and end the page."""
    if chosen.run is None:
        missing_data.say_untrained(chosen.model, chosen)
        st.stop()
    before = analyses.plain_of(chosen.run)
    if before is None:
        st.info(
            plain(
                f"The run {chosen.run.name} was trained with "
                f"{analyses.mitigation_in_words(chosen.run)}, but its plain run, of the same "
                "images, split, recipe, seed, epochs and start, is not here. Pick another "
                "run in the sidebar."
            )
        )
        st.stop()
    siblings = analyses.mitigated_runs(before)
    if not siblings:
        say_nothing_to_compare(before)
        st.stop()
    return before, siblings


st.title("Mitigation", anchor=False)
st.caption(f"{plain(chosen.title)}. {chosen.method_note}")
before, siblings = find_siblings()
left, right = st.columns([2, 1])
if chosen.run.is_plain:
    with left:
        name = selection.picker("Mitigated run", "mitigated", [run.name for run in siblings])
    after = next(run for run in siblings if run.name == name)
else:
    after = chosen.run
    left.caption(
        plain(
            f"The run of the sidebar, {after.name}, is compared with its plain one, {before.name}."
        )
    )
shared = sorted(set(before.epochs) & set(after.epochs))
if chosen.epoch not in shared:
    kept = ", ".join(map(str, shared)) or "none"
    st.info(
        f"One of the two runs keeps no checkpoint of epoch {chosen.epoch}. Epochs that "
        f"both keep: {kept}."
    )
    st.stop()
stored = [rb.stored_distances(run, chosen.epoch, chosen.method) for run in (before, after)]
missing = [run for run, found in zip((before, after), stored, strict=True) if found is None]
if missing:
    offer(missing)
    in_both = set(rb.stored_methods(before, chosen.epoch)) & set(
        rb.stored_methods(after, chosen.epoch)
    )
    for method in sorted(in_both, key=lambda name: (not name.startswith(TRUSTED), name))[
        :N_OFFERED
    ]:
        st.button(
            f"Show {method}, computed for both", on_click=selection.put, kwargs={"method": method}
        )
    st.stop()
first, second = stored

policy = definitions.pick()
by, protected = analyses.protected_by(after)
groups = group_order(group_labels(first.rows, chosen.by))
protected_here = [
    whom for its_by, whom in map(analyses.protected_by, (after, *siblings)) if its_by == chosen.by
]
offered = dict.fromkeys([*(whom for whom in protected_here if whom in groups), *groups])
with right:
    group = selection.picker("Protected group", "group", list(offered))
effect = compare(
    (first.checksum, second.checksum),
    chosen.by,
    group,
    repr(policy),
    (first.rows, second.rows),
    policy,
)
verdict = analyses.verdict_on_mitigation(effect)
st.markdown(f"#### {plain(verdict)}")
st.markdown(plain(analyses.parts_in_words(effect)))
if analyses.has_collapsed(effect):
    st.warning(
        f"The mitigated model gives one and the same answer to {effect.same_answer:.0%} of "
        f"{effect.n:,} images. Such a model is hard to attack and of no use; that its gap is "
        "small says little."
    )
notes = [f"Mitigated by: {analyses.mitigation_in_words(after)}."]
if by is not None and (by != chosen.by or protected not in (None, group)):
    notes.append(
        f"It protects {by} = {protected or 'all groups'}, which is not the group shown here."
    )
if effect.n < before.facts["n_test"]:
    notes.append(
        f"Only {effect.n:,} of {before.facts['n_test']:,} test images have distances "
        "under both models."
    )
notes += [
    f"{when}: {rb.statuses_in_words(table.rows, chosen.method)}"
    for when, table in (("Plain", first), ("Mitigated", second))
]
st.caption(plain(" ".join(notes)))
for table in (first, second):
    results.warn_of_fallbacks(table.rows, chosen.method)
if chosen.method.split(":")[0].split(" ")[0] not in TRUSTED:
    st.info(
        plain(
            f"These distances are by {title_of(chosen.method)}. The check that counts is minimal, "
            "an attack that shares nothing with the linearization that a fairness term is trained "
            "on: pick it in the sidebar."
        )
    )

trained_tau = (after.mitigation or {}).get("tau")
curves = analyses.curves_of_sides(
    first.rows,
    second.rows,
    chosen.by,
    group,
    taus=tau_grid(pd.concat([first.rows, second.rows]), policy),
    policy=policy,
)
for column, when, title in zip(
    st.columns(2), ("before", "after"), ("plain", "mitigated"), strict=True
):
    with column:
        st.markdown(f"**{title.capitalize()}**: correct and farther than tau")
        show.chart(
            side_curves(curves, when, tau=trained_tau),
            f"{title} curves",
            table=curves[curves["when"] == when],
            alt=(
                f"The {title} model: share of images that are correct and farther than tau, the "
                f"group and the rest. {verdict}"
            ),
        )
at_tau = (
    f" Gray rule: tau = {trained_tau:g}, where the term compared the groups."
    if trained_tau is not None
    else ""
)
st.caption(f"Bands hold at any one tau (95%, Clopper-Pearson).{at_tau}")

st.subheader("What moved", anchor=False)
with st.columns([1, 3])[0]:
    shown = selection.picker("Measure", "measure", list(MEASURES))
show.chart(
    changes_chart(effect.changes, shown),
    "changes",
    table=effect.changes,
    alt=f"{MEASURES[shown][0]} of each side before and after. {analyses.parts_in_words(effect)}",
)
st.caption(
    "Open mark: plain. Filled: mitigated. The bar is the 95% interval of the change, laid from "
    "the open mark: where it does not reach that mark, the change is shown. The area is accuracy "
    "x mean distance of correct images (misclassified ones count as 0)."
)
st.dataframe(
    pd.DataFrame(
        {
            "group": row.group,
            "n": row.n,
            "before": with_ends(row.sigma_first, row.first_low, row.first_high, "+.2f"),
            "after": with_ends(row.sigma_second, row.second_low, row.second_high, "+.2f"),
            "change": with_ends(row.difference, row.low, row.high, "+.2f"),
            "auc": analyses.in_l2(effect.change(row.group, analyses.AUC)),
            "accuracy": analyses.in_points(effect.change(row.group, analyses.ACCURACY)),
        }
        for row in effect.bias.itertuples()
    ),
    hide_index=True,
    height="content",
    column_config={
        "group": st.column_config.TextColumn(chosen.partition_title, pinned=True),
        "n": st.column_config.NumberColumn("n", help="Test images of the group under both models"),
        "before": st.column_config.TextColumn(
            "sigma, plain", help="With its 95% interval (bootstrap-t)"
        ),
        "after": st.column_config.TextColumn(
            "sigma, mitigated", help="With its 95% interval (bootstrap-t)"
        ),
        "change": st.column_config.TextColumn(
            "change of sigma", help="With its paired 95% interval"
        ),
        "auc": st.column_config.TextColumn(
            "AUC (change)", help="L2, with the paired 95% interval of the change"
        ),
        "accuracy": st.column_config.TextColumn(
            "accuracy (change)", help="With the paired 95% interval of the change"
        ),
    },
)

st.subheader("What it cost", anchor=False)


def concerns(run: Run) -> bool:
    """Whether a run protects the group shown or all groups of its partition, knows no group, or is the one compared."""
    its_by, its_group = analyses.protected_by(run)
    return run == after or its_by is None or (its_by == chosen.by and its_group in (None, group))


def compare_clicked() -> None:
    """Compare the run whose mark was clicked."""
    marks = st.session_state["chart trade-off"]["selection"]["run"]
    if marks and marks[0]["run"] in {run.name for run in siblings}:
        selection.put(**{"mitigated" if chosen.run.is_plain else "run": marks[0]["run"]})


rivals = [before, *(run for run in siblings if concerns(run) and chosen.epoch in run.epochs)]
found = [rb.stored_distances(run, chosen.epoch, chosen.method) for run in rivals]
checksums = tuple(table.checksum if table else None for table in found)
tau = USUAL_TAU if trained_tau is None else trained_tau
costs, lacking = measure(
    checksums, chosen.by, group, chosen.method, chosen.epoch, tau, repr(policy), rivals, policy
)
with st.columns([1, 3])[0]:
    bias = selection.picker("Bias as", "bias", list(BIASES))
show.chart(
    trade_off_chart(costs, bias=bias, compared=after.name, tau=tau),
    "trade-off",
    table=costs,
    alt=(
        f"{bias} of {group} against accuracy, one mark for each of {len(costs)} runs, with "
        "intervals both ways."
    ),
    on_select=compare_clicked,
    selection_mode=["run"],
)
st.caption(
    "Lower is less bias, farther right more accuracy; how safe either side is, the areas in the "
    "table say. Ringed: the run compared above; click on another mark to compare it. n = "
    f"{costs['n'].min():,}{'' if costs['n'].nunique() == 1 else f' to {costs.n.max():,}'} test "
    f"images a run, of which {costs['n_group'].min():,} are {plain(group)}. RB at tau = {tau:g} "
    "for all runs. Intervals (95%) are each run's own: where two overlap, the runs may still "
    "differ, as the paired intervals above say."
)
if lacking:
    offer(lacking)
st.dataframe(
    pd.DataFrame(
        {
            "kind": row.kind,
            "setting": row.setting,
            "n": row.n,
            "sigma": with_ends(row.sigma, row.low, row.high, "+.2f"),
            "rb": with_ends(row.rb, row.rb_low, row.rb_high, ".3f"),
            "accuracy": with_ends(row.accuracy, row.accuracy_low, row.accuracy_high, ".1%"),
            "auc_group": row.auc_group,
            "auc_rest": row.auc_rest,
            "run": row.run,
        }
        for row in costs.itertuples()
    ),
    hide_index=True,
    height="content",
    column_config={
        "kind": "mitigation",
        "n": st.column_config.NumberColumn("n", help="Test images"),
        "sigma": st.column_config.TextColumn(
            f"sigma of {group}", help="With its 95% interval (bootstrap-t)"
        ),
        "rb": st.column_config.TextColumn(
            f"RB at {tau:g}", help="RB(P, tau), among correct images; 95% (Newcombe)"
        ),
        "accuracy": st.column_config.TextColumn(
            "accuracy", help="Of all test images; 95% (Clopper-Pearson)"
        ),
        "auc_group": st.column_config.NumberColumn(f"AUC of {group}", format="%.3f", help="L2"),
        "auc_rest": st.column_config.NumberColumn("AUC of the rest", format="%.3f", help="L2"),
    },
)
st.caption(
    "All intervals are over test images, for these trained models. Trained again with another "
    "seed, a mitigation can come out differently, and a setting picked by looking at this chart "
    "is picked on the test images: benchmarks/mitigation.md has several seeds, with the setting "
    "chosen on images held out from training."
)
with st.expander("How is this calculated?"):
    st.markdown(
        f"""
- **Same images.** Both models are attacked on the same test images, and every interval of a change is paired: what makes an image
  easy or hard for both models cancels.
- **Change of sigma, of the area and of distances.** The images are drawn anew {inference.N_RESAMPLES:,} times, the same for both models
  (bootstrap-t, with ends that allow for skewed distances).
- **Change of accuracy.** The interval of Bonett and Price for paired proportions: from the images that one model alone has right.
- **Safer, less safe.** A side counts as moved where the interval of its area's change excludes 0. The rest is all images outside the
  group. With several groups and sides some change would be shown by chance: one in twenty where there is none.
- **Which images are correct** differs between the models, so the mean distance of correct images is partly of other images.
- **What is not used.** The linearized distances that a fairness term is trained on enter no number here.
"""
    )
st.page_link(menu.page("Images"), label="The faces behind these numbers, on the Images page")
st.caption(chosen.spec.caution)
