"""Mitigation: what it changed, on the same test images under both models, and what it cost."""

from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import cache, charts, missing_data, navigation, read_only
from pages.shell.forms import picker
from pages.shell.selection import Selection, current, put
from pages.shell.text import escape_markdown, format_estimate
from rbcore import analyses, inference
from rbcore.charts import BIASES, MEASURES, changes_chart, side_curves, tau_grid, trade_off_chart
from rbcore.partitions import group_labels, group_order
from rbcore.runs.checkpoints import Run
from rbcore.runs.command_lines import command
from rbcore.store import StoredTable

# They share nothing with the linearization that a fairness regularizer is trained on.
INDEPENDENT = ("minimal", "exact")
USUAL_TAU = 0.5
N_OFFERED = 3


@dataclass(frozen=True)
class Pair:
    """A plain run and a mitigated one, with the distances of each, and all mitigated siblings."""

    before: Run
    after: Run
    first: StoredTable
    second: StoredTable
    siblings: list[Run]

    @property
    def tau(self) -> float | None:
        """Where the fairness regularizer compared the groups; None for other mitigations."""
        return (self.after.mitigation or {}).get("tau")


def render(selection: Selection) -> None:
    """Compare a plain run with a mitigated one, and with all others."""
    st.title("Mitigation", anchor=False)
    st.caption(f"{escape_markdown(selection.title)}. {selection.method_note}")
    before, siblings = find_siblings(selection)
    left, right = st.columns([2, 1])
    with left:
        after = pick_mitigated(selection, before, siblings)
    pair = load_or_stop(selection, before, after, siblings)
    with right:
        group = pick_group(selection, pair)
    effect = compare(selection, pair.first, pair.second, group)
    draw_verdict(selection, pair, effect, group)
    draw_curves(selection, pair, group, analyses.verdict_on_mitigation(effect))
    st.subheader("What changed", anchor=False)
    draw_changes(selection, effect)
    st.subheader("What it cost", anchor=False)
    draw_cost(selection, pair, group)
    explain()
    st.page_link(navigation.page("Images"), label="The images behind these numbers")
    st.caption(selection.spec.caution)


def find_siblings(selection: Selection) -> tuple[Run, list[Run]]:
    """Return the plain run of the selection and its mitigated ones, or say what lacks and stop."""
    if selection.run is None:
        missing_data.report_untrained(selection.model, selection)
        st.stop()
    before = analyses.plain_of(selection.run)
    if before is None:
        st.info(
            escape_markdown(
                f"The run {selection.run.name} was trained with "
                f"{analyses.mitigation_in_words(selection.run)}, but its plain run, of the same "
                "images, split, recipe, seed, epochs and start, is not here. Pick another run in "
                "the sidebar."
            )
        )
        st.stop()
    siblings = analyses.mitigated_runs(before)
    if not siblings:
        report_no_siblings(selection, before)
        st.stop()
    return before, siblings


def report_no_siblings(selection: Selection, run: Run) -> None:
    """Say that there is no mitigated run beside a plain one, and which command trains one."""
    st.info(
        escape_markdown(
            f"Beside the plain run {run.name} there is no mitigated one of the same images, split, "
            "recipe, seed, epochs and start, so there is nothing to compare."
        )
    )
    facts = run.facts
    if facts.is_imported:
        st.caption(
            "Its weights were imported, so none can be trained beside it here. Train a plain run "
            "first."
        )
        return
    if not read_only.is_read_only():
        st.page_link(
            navigation.page("Compute"),
            label="Train one on the Compute page, under Mitigation",
            icon=":material/arrow_forward:",
        )
    st.caption(
        "This command trains one too; replace GROUP by one of the groups: "
        f"{escape_markdown(', '.join(groups_of(selection, run)))}. The bundled results include "
        "mitigated runs of small_cnn on toyfaces."
    )
    line = command(
        "train",
        run.dataset,
        run.model,
        regularize=f"{selection.by}=GROUP",
        alpha=1,
        tau=USUAL_TAU,
        recipe=facts.recipe.name,
        epochs=run.n_epochs,
        size=facts.size,
        seed=facts.seed,
        validation=facts.validation or None,
    )
    st.code(line, language="bash", wrap_lines=True)


def groups_of(selection: Selection, run: Run) -> list[str]:
    """Return the groups of the partition, as any stored distances of a run hold them."""
    methods = rb.stored_methods(run, run.n_epochs)
    stored = rb.stored_distances(run, run.n_epochs, methods[0]) if methods else None
    return [] if stored is None else list(group_order(group_labels(stored.rows, selection.by)))


def pick_mitigated(selection: Selection, before: Run, siblings: list[Run]) -> Run:
    """Return the mitigated run: that of the sidebar, or one picked here."""
    if selection.run.is_plain:
        name = picker("Mitigated run", "mitigated", [run.name for run in siblings])
        return next(run for run in siblings if run.name == name)
    st.caption(
        escape_markdown(
            f"The run of the sidebar, {selection.run.name}, is compared with its plain one, "
            f"{before.name}."
        )
    )
    return selection.run


def load_or_stop(selection: Selection, before: Run, after: Run, siblings: list[Run]) -> Pair:
    """Return both runs with their distances, or say what is missing and stop."""
    epoch, method = selection.epoch, selection.method
    shared = sorted(set(before.epochs) & set(after.epochs))
    if epoch not in shared:
        kept = ", ".join(map(str, shared)) or "none"
        st.info(
            f"One of the two runs has no checkpoint of epoch {epoch}. Epochs that both have: "
            f"{kept}."
        )
        st.stop()
    runs = (before, after)
    first, second = (rb.stored_distances(run, epoch, method) for run in runs)
    if first is not None and second is not None:
        return Pair(before, after, first, second, siblings)
    found = zip(runs, (first, second), strict=True)
    offer_missing(selection, [run for run, stored in found if stored is None])
    in_both = set.intersection(*(set(rb.stored_methods(run, epoch)) for run in runs))
    ordered = sorted(in_both, key=lambda name: (not name.startswith(INDEPENDENT), name))
    for other in ordered[:N_OFFERED]:
        st.button(f"Show {other}, computed for both", on_click=put, kwargs={"method": other})
    st.stop()


def offer_missing(selection: Selection, missing: list[Run]) -> None:
    """Say which runs lack distances, and offer to compute them."""
    names = ", ".join(run.name for run in missing)
    missing_data.offer_estimates(
        [replace(selection, run=run) for run in missing],
        (
            f"Distances by {selection.method} at epoch {selection.epoch} are not computed yet for: "
            f"{names}."
        ),
        f"Compute the {len(missing)} missing",
    )


def pick_group(selection: Selection, pair: Pair) -> str:
    """Draw the picker of the group, those that a run protects first."""
    groups = group_order(group_labels(pair.first.rows, selection.by))
    protected = [
        group
        for by, group in map(analyses.protected_by, (pair.after, *pair.siblings))
        if by == selection.by and group in groups
    ]
    return picker("Protected group", "group", list(dict.fromkeys([*protected, *groups])))


@st.cache_data(max_entries=64, show_spinner="Comparing the models", hash_funcs=cache.MEASURED)
def compare(
    selection: Selection, first: StoredTable, second: StoredTable, group: str
) -> analyses.Effect:
    """Return `analyses.compare` of the distances under both models."""
    return analyses.compare(first.rows, second.rows, selection.by, group, policy=selection.policy)


def draw_verdict(selection: Selection, pair: Pair, effect: analyses.Effect, group: str) -> None:
    """Say what the mitigation changed, and what limits that."""
    st.markdown(f"#### {escape_markdown(analyses.verdict_on_mitigation(effect))}")
    st.markdown(escape_markdown(analyses.parts_in_words(effect)))
    if analyses.has_collapsed(effect):
        st.warning(
            f"The mitigated model predicts one and the same class for {effect.same_answer:.0%} of "
            f"{effect.n:,} images. Such a model is hard to attack and of no use; that its gap is "
            "small says little."
        )
    notes = [f"Mitigated by: {analyses.mitigation_in_words(pair.after)}."]
    by, protected = analyses.protected_by(pair.after)
    if by is not None and (by != selection.by or protected not in (None, group)):
        notes.append(
            f"It protects {by} = {protected or 'all groups'}, which is not the group shown here."
        )
    n_test = pair.before.facts.n_test
    if effect.n < n_test:
        notes.append(
            f"Only {effect.n:,} of {n_test:,} test images have distances under both models."
        )
    for when, table in (("Plain", pair.first), ("Mitigated", pair.second)):
        notes.append(f"{when}: {rb.statuses_in_words(table.rows, selection.method)}")
    st.caption(escape_markdown(" ".join(notes)))
    for table in (pair.first, pair.second):
        missing_data.warn_of_fallbacks(table.rows, selection.method)
    if selection.method.split(":")[0].split(" ")[0] not in INDEPENDENT:
        st.info(
            escape_markdown(
                f"These distances are by {selection.method_title}. Check them with minimal, an "
                "attack that shares nothing with the linearization that a fairness regularizer is "
                "trained on: pick it in the sidebar."
            )
        )


def draw_curves(selection: Selection, pair: Pair, group: str, verdict: str) -> None:
    """Draw the curves of the group and the rest under both models."""
    first, second = pair.first.rows, pair.second.rows
    curves = analyses.curves_of_sides(
        first,
        second,
        selection.by,
        group,
        taus=tau_grid(pd.concat([first, second]), selection.policy),
        policy=selection.policy,
    )
    titles = {"before": "plain", "after": "mitigated"}
    for column, (when, title) in zip(st.columns(2), titles.items(), strict=True):
        with column:
            st.markdown(f"**{title.capitalize()}**: correct and farther than tau")
            charts.draw(
                side_curves(curves, when, tau=pair.tau),
                f"{title} curves",
                table=curves[curves["when"] == when],
                alt=(
                    f"The {title} model: share of images that are correct and farther than tau, "
                    f"the group and the rest. {verdict}"
                ),
            )
    rule = ""
    if pair.tau is not None:
        rule = f" Gray rule: tau = {pair.tau:g}, where the regularizer compared the groups."
    st.caption(f"Bands hold at any one tau (95%, Clopper-Pearson).{rule}")


def draw_changes(selection: Selection, effect: analyses.Effect) -> None:
    """Draw each measure before and after, and the table of all groups."""
    with st.columns([1, 3])[0]:
        shown = picker("Measure", "measure", list(MEASURES))
    charts.draw(
        changes_chart(effect.changes, shown),
        "changes",
        table=effect.changes,
        alt=(
            f"{MEASURES[shown][0]} of each side before and after. {analyses.parts_in_words(effect)}"
        ),
    )
    st.caption(
        "Open mark: plain. Filled: mitigated. The bar is the 95% interval of the change, drawn "
        "from the open mark: where it does not reach that mark, the change is shown. The area is "
        "accuracy x mean distance of correct images (misclassified ones count as 0)."
    )
    st.dataframe(
        pd.DataFrame(
            {
                "group": row.group,
                "n": row.n,
                "before": format_estimate(row.sigma_first, row.first_low, row.first_high, "+.2f"),
                "after": format_estimate(row.sigma_second, row.second_low, row.second_high, "+.2f"),
                "change": format_estimate(row.difference, row.low, row.high, "+.2f"),
                "auc": analyses.in_l2(effect.change(row.group, analyses.AUC)),
                "accuracy": analyses.in_points(effect.change(row.group, analyses.ACCURACY)),
            }
            for row in effect.bias.itertuples()
        ),
        hide_index=True,
        height="content",
        column_config={
            "group": st.column_config.TextColumn(selection.partition_title, pinned=True),
            "n": st.column_config.NumberColumn(
                "n", help="Test images of the group under both models"
            ),
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


def name_of_run(run: Run) -> str:
    """Return what names a run of a model."""
    return run.name


@st.cache_data(
    max_entries=64,
    show_spinner="Measuring all runs",
    hash_funcs={Selection: cache.definitions_of, Run: name_of_run, StoredTable: cache.checksum_of},
)
def trade_off(
    selection: Selection, group: str, tau: float, tables: list[tuple[Run, StoredTable | None]]
) -> tuple[pd.DataFrame, list[Run]]:
    """Return `analyses.trade_off` of runs, and those that lack distances."""
    return analyses.trade_off(
        [run for run, _ in tables],
        selection.by,
        group,
        selection.method,
        selection.epoch,
        tau=tau,
        policy=selection.policy,
    )


def draw_cost(selection: Selection, pair: Pair, group: str) -> None:
    """Draw bias against accuracy of every run that concerns the group."""
    rivals = [run for run in pair.siblings if concerns(selection, pair, run, group)]
    tau = USUAL_TAU if pair.tau is None else pair.tau
    costs, lacking = trade_off(
        selection,
        group,
        tau,
        [
            (run, rb.stored_distances(run, selection.epoch, selection.method))
            for run in (pair.before, *rivals)
        ],
    )
    with st.columns([1, 3])[0]:
        bias = picker("Bias as", "bias", list(BIASES))

    def compare_clicked() -> None:
        marks = st.session_state["chart trade-off"]["selection"]["run"]
        if marks and marks[0]["run"] in {run.name for run in pair.siblings}:
            put(**{"mitigated" if selection.run.is_plain else "run": marks[0]["run"]})

    charts.draw(
        trade_off_chart(costs, bias=bias, compared=pair.after.name, tau=tau),
        "trade-off",
        table=costs,
        alt=(
            f"{bias} of {group} against accuracy, one mark for each of {len(costs)} runs, with "
            "intervals both ways."
        ),
        on_select=compare_clicked,
        selection_mode=["run"],
    )
    n = f"{costs['n'].min():,}"
    if costs["n"].nunique() > 1:
        n += f" to {costs['n'].max():,}"
    st.caption(
        "Lower is less bias, farther right more accuracy; the areas in the table say how safe "
        "either side is. Ringed: the run compared above; click another mark to compare it. "
        f"n = {n} test images a run, of which {costs['n_group'].min():,} are "
        f"{escape_markdown(group)}. RB at tau = {tau:g} for all runs. Intervals (95%) are each "
        "run's own: where two overlap, the runs may still differ, as the paired intervals above "
        "say."
    )
    if lacking:
        offer_missing(selection, lacking)
    draw_costs(costs, group, tau)


def concerns(selection: Selection, pair: Pair, run: Run, group: str) -> bool:
    """Whether a run stands beside the pair: it protects this group, or all, or knows no group."""
    if selection.epoch not in run.epochs:
        return False
    by, protected = analyses.protected_by(run)
    is_protected = by == selection.by and protected in (None, group)
    return run == pair.after or by is None or is_protected


def draw_costs(costs: pd.DataFrame, group: str, tau: float) -> None:
    """Draw the table of bias and accuracy of every run."""
    st.dataframe(
        pd.DataFrame(
            {
                "kind": row.kind,
                "setting": row.setting,
                "n": row.n,
                "sigma": format_estimate(row.sigma, row.low, row.high, "+.2f"),
                "rb": format_estimate(row.rb, row.rb_low, row.rb_high, ".3f"),
                "accuracy": format_estimate(
                    row.accuracy, row.accuracy_low, row.accuracy_high, ".1%"
                ),
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
        "seed, a mitigation can come out differently, and a setting picked by looking at this "
        "chart is picked on the test images: benchmarks/mitigation.md has several seeds, with the "
        "setting chosen on images held out from training."
    )


def explain() -> None:
    """Draw how the intervals are calculated."""
    with st.expander("How is this calculated?"):
        st.markdown(
            f"""
- **Same images.** Both models are attacked on the same test images, and every interval of a change
  is paired: what makes an image easy or hard for both models cancels.
- **Change of sigma, of the area and of distances.** The images are resampled
  {inference.N_RESAMPLES:,} times, the same for both models (bootstrap-t, with ends that allow for
  skewed distances).
- **Change of accuracy.** The interval of Bonett and Price for paired proportions: from the images
  that only one of the models classifies correctly.
- **Safer, less safe.** A side counts as changed where the interval of its area's change excludes 0.
  The rest is all images outside the group. With several groups and sides some change would be shown
  by chance: one in twenty where there is none.
- **Which images are correct** differs between the models, so the mean distance of correct images is
  partly of other images.
- **What is not used.** The linearized distances that a fairness regularizer is trained on enter no
  number here.
"""
        )


render(current())
