"""Lesson: guess, look, measure, test, mitigate, for learners, on faces drawn by code.

The truth comes last.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import cache, charts, missing_data, navigation
from pages.shell.selection import Selection, current, put
from pages.shell.text import escape_markdown
from rbcore import analyses, inference, wording
from rbcore.analyses import first_faces, raw_and_standardized, typical_faces
from rbcore.charts import bias_intervals, mix_intervals, rendering, robustness_curves
from rbcore.datasets import Dataset, toyfaces
from rbcore.distances.perturbed import Perturbations
from rbcore.store import StoredTable

DATASET, MODEL, METHOD = "toyfaces", "small_cnn", "deepfool"
BY, PLANTED = "lighting", "dim"
LIGHTS = ("bright", "dim")
GUESSES = {
    "bright": "Faces in bright light",
    "dim": "Faces in dim light",
    "neither": "Neither: no difference",
}
GUESS, GUESS_PICKED = "guess", "guess picked"


def render() -> None:
    """Draw the step that is picked, on the toy faces."""
    current()  # a deep link to this page can reach a server that has not run app.py yet
    st.title("A lesson in five steps", anchor=False)
    steps: dict[str, tuple[str, Callable[[Selection, StoredTable], None]]] = {
        "guess": ("Which faces are fooled first?", draw_guess),
        "look": ("How much must be changed?", draw_faces),
        "measure": ("By how much do the groups differ?", draw_measure),
        "test": ("Could it be chance?", draw_test),
        "mitigate": ("Can training reduce it?", draw_mitigation),
        "truth": ("The truth", draw_truth),
    }
    names = list(steps)
    step = pick_step(names)
    title, draw = steps[step]
    is_last = step == names[-1]
    number = "" if is_last else f"{names.index(step) + 1} of {len(names) - 1}: "
    st.subheader(f"{number}{title}", anchor=False)
    faces = select_faces()
    draw(faces, missing_data.stored_or_stop(faces))
    caution = "Synthetic: drawn by code, no person behind them."
    if is_last:
        caution = faces.spec.caution
        st.page_link(
            navigation.page("Curves"),
            label="Explore on your own",
            icon=":material/arrow_forward:",
        )
    st.caption(
        f"{caution} Whatever the sidebar shows, the lesson uses the toy faces and "
        f"{faces.model_title}, DeepFool."
    )


def pick_step(names: list[str]) -> str:
    """Draw the steps with buttons to the step before and after, and return the one picked."""
    asked = st.query_params.get("step")
    if asked is not None and asked not in names:
        st.warning(
            escape_markdown(
                f"The link asks for the step {asked!r}, which this lesson does not have; showing "
                f"{names[0]!r}."
            )
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        step = st.segmented_control(
            "Step",
            names,
            default=names[0],
            required=True,
            key="step",
            bind="query-params",
            label_visibility="collapsed",
        )
        position, last = names.index(step), len(names) - 1
        st.button(
            "Back",
            on_click=put,
            kwargs={"step": names[max(position - 1, 0)]},
            disabled=position == 0,
        )
        st.button(
            "Next",
            type="primary",
            on_click=put,
            kwargs={"step": names[min(position + 1, last)]},
            disabled=position == last,
        )
    return step


def select_faces() -> Selection:
    """Return the newest plain run on the toy faces, whatever the sidebar shows."""
    run = next((run for run in rb.list_runs(DATASET, MODEL) if run.is_usual), None)
    return Selection(DATASET, BY, MODEL, run, None if run is None else run.n_epochs, METHOD)


def kept_guess() -> str | None:
    """Return the guess, from the link or from earlier in this visit."""
    guess = st.query_params.get(GUESS, st.session_state.get("kept guess"))
    if guess not in GUESSES:
        return None
    st.session_state["kept guess"] = st.query_params[GUESS] = guess
    return guess


def keep_guess() -> None:
    """Keep what was just picked."""
    st.session_state["kept guess"] = st.query_params[GUESS] = st.session_state[GUESS_PICKED]


def draw_guess(selection: Selection, stored: StoredTable) -> None:
    """Show faces of both groups, and ask."""
    st.markdown(
        "A model learned to tell the age group of drawn faces, in bright and in dim light. It is "
        f"right about {stored.rows['is_correct'].mean():.0%} of {len(stored.rows):,} faces it "
        "never saw. Now someone changes the images a little, so that the model errs. (Skin, hair "
        "and clothes are drawn at random in both lights.)"
    )
    data = faces_of_both()
    for column, light in zip(st.columns(2), LIGHTS, strict=True):
        shown = (
            data.samples[data.samples[BY] == light].groupby("label").head(1).sort_values("label")
        )
        column.image(
            rendering.row(list(data.pixels(shown.index.to_numpy())), 64),
            caption=f"{light} light: {', '.join(data.classes)}",
            width="stretch",
            alt=f"One drawn face of each age group in {light} light",
        )
    guess = kept_guess()
    st.radio(
        "Which group needs the smallest change? (Guessing is optional.)",
        list(GUESSES),
        index=None if guess is None else list(GUESSES).index(guess),
        format_func=GUESSES.get,
        key=GUESS_PICKED,
        on_change=keep_guess,
    )


def draw_faces(selection: Selection, stored: StoredTable) -> None:
    """Show typical faces of both groups with what had to be changed, magnified alike."""
    st.markdown(
        "For each group the most typical faces: half of the group needs a larger change, half a "
        "smaller one. **Left** the face, **right** the face that fools the model, in the "
        "**middle** what was changed, magnified by the same factor everywhere. Where is the "
        "change fainter?"
    )
    found = typical(selection, stored)
    factor = min(
        rendering.magnification(*pair)
        for light in LIGHTS
        for pair in zip(found[light].clean, found[light].perturbed, strict=True)
    )
    classes = selection.run.facts.classes
    for column, light in zip(st.columns(2), LIGHTS, strict=True):
        column.markdown(f"**{light} light**")
        faces = found[light]
        for clean, perturbed, row in zip(
            faces.clean, faces.perturbed, faces.table.itertuples(), strict=True
        ):
            column.image(
                rendering.strip(clean, np.clip(perturbed, 0, 1), 64, factor),
                caption=(
                    f"predicted {classes[row.prediction]}, after the change "
                    f"{classes[row.perturbed_prediction]}"
                ),
                width="stretch",
                alt=f"A face in {light} light: clean, change magnified {factor:.0f} times, changed",
            )


def draw_measure(selection: Selection, stored: StoredTable) -> None:
    """Show the curves with their names, and sigma."""
    said = "; ".join(
        f"**{escape_markdown(str(row.group))}: sigma = {row.sigma:+.2f}** [{row.low:+.2f}, "
        f"{row.high:+.2f}], n = {row.n:,}"
        for row in cache.bias(selection, stored).itertuples()
    )
    st.markdown(
        "Each curve says what share of a group the model still gets right when every image may be "
        "changed by up to tau. **Sigma** compares the area under a group's curve with that of the "
        "rest: below 0, the group is less robust. In brackets, where sigma may lie (95% "
        f"interval). {said}."
    )
    charts.draw(
        robustness_curves(stored.rows, BY, height=290),
        "lesson curves",
        table=inference.curves(
            stored.rows, BY, taus=np.linspace(0, float(stored.rows["distance"].max()), 100)
        ),
        alt=(
            "One curve for bright and one for dim faces: share correct and farther than tau. "
            f"{said}"
        ),
    )


def draw_test(selection: Selection, stored: StoredTable) -> None:
    """Test the groups of the light, and those of a coin."""
    st.markdown(
        "Assign the faces to two groups at random, thousands of times. **p** is the share of these "
        "permutations in which the groups differ at least as much as the real ones: a small p is "
        "hard to explain by chance. To see what chance looks like, the same faces by the "
        "**camera** that took them."
    )
    tables = {by: cache.bias(replace(selection, by=by), stored) for by in (BY, "camera")}
    for by, bias in tables.items():
        st.markdown(f"**By {by}:** {escape_markdown(rb.verdict(bias))}")
    both = pd.concat(
        [
            bias.assign(group=[f"{by}: {group}" for group in bias["group"]])
            for by, bias in tables.items()
        ],
        ignore_index=True,
    )
    charts.draw(
        bias_intervals(both),
        "lesson tests",
        table=both,
        alt="Sigma with its interval by lighting, far from 0, and by camera, around 0.",
    )


def draw_mitigation(selection: Selection, stored: StoredTable) -> None:
    """Compare the plain run with those trained with a mitigation."""
    st.markdown(
        "Training can optimize more than accuracy: a fairness regularizer adds a term to the loss "
        "that asks for both groups to lie equally far from the boundary. Two simpler mitigations "
        "stand beside it: training on attacked faces, and giving some faces more weight. Each may "
        "cost something, so look at the accuracy too."
    )
    tables = {
        f"{analyses.kind_of(run)}, {analyses.setting_of(run)}": table
        for run in analyses.mitigated_runs(selection.run)
        if run.is_complete and (table := rb.stored_distances(run, "last", METHOD)) is not None
    }
    if not tables:
        st.info(
            "There is no such training yet, so this step has nothing to show. These two commands "
            "make one in some minutes; then open this step again."
        )
        st.code(
            f"python -m rbcore train {DATASET} {MODEL} --regularize {BY}={PLANTED} --alpha 0.3 "
            "--tau 0.3 --run fair\n"
            f"python -m rbcore estimate {DATASET} {MODEL} {METHOD} --run fair",
            language="bash",
            wrap_lines=True,
        )
        return
    sigmas = {"plain": cache.bias(selection, stored)}
    for name, table in tables.items():
        sigmas[name] = cache.bias(selection, table)
        st.markdown(describe_change(name, stored, table))
    planted = [bias[bias["group"] == PLANTED].assign(group=name) for name, bias in sigmas.items()]
    together = pd.concat(planted, ignore_index=True)
    charts.draw(
        bias_intervals(together),
        "lesson mitigation",
        table=together,
        alt=f"Sigma of {PLANTED} faces by plain training and by each mitigation.",
    )


def describe_change(name: str, before: StoredTable, after: StoredTable) -> str:
    """Say what a mitigation changed, in Markdown."""
    change = compare_bias(before, after).set_index("group").loc[PLANTED]
    kind = "a change is shown" if change["is_shown"] else "no change is shown"
    return (
        f"**{escape_markdown(name)}**: sigma of {PLANTED} went from {change['sigma_first']:+.2f} "
        f"to {change['sigma_second']:+.2f} (change {change['difference']:+.2f} "
        f"[{change['low']:+.2f}, {change['high']:+.2f}], n = {change['n']:,}: {kind}); accuracy "
        f"from {before.rows['is_correct'].mean():.1%} to {after.rows['is_correct'].mean():.1%} of "
        f"{len(after.rows):,} faces."
    )


def draw_truth(selection: Selection, stored: StoredTable) -> None:
    """Say what was planted, whether the guess was right, and where sigma alone would mislead."""
    guess = kept_guess()
    if guess is None:
        st.markdown("No guess was made in step 1.")
    else:
        answer = "**That is right.**" if guess == PLANTED else "It is the faces in **dim** light."
        st.markdown(f"Your guess: **{GUESSES[guess].lower()}**. {answer}")
    site = cache.bias(replace(selection, by="site"), stored)
    lowest = wording.least_robust(site)
    mixed = at_one_mix(stored)
    alike = mixed.set_index("group").loc[lowest["group"]]
    camera = cache.bias(replace(selection, by="camera"), stored)
    st.markdown(
        f"""
- **Light: planted.** In dim light the signs of age, such as wrinkles and gray hair, are drawn with
  {1 - 0.75 * toyfaces.STRENGTH:.0%} of their contrast. So less has to be changed until they
  mislead.
- **Camera: a coin.** It was tossed after the drawing; no pixel depends on it. The test found
  nothing ({wording.p_in_words(camera["p_global"].iloc[0])}, n = {len(stored.rows):,}), as it
  should.
- **Site: a trap.** By the place where they were taken, {escape_markdown(lowest["group"])} faces
  look less robust: sigma = {lowest["sigma"]:+.2f} [{lowest["low"]:+.2f}, {lowest["high"]:+.2f}],
  n = {lowest["n"]:,}. But no pixel depends on the site either: it only follows the age, and some
  ages are harder. At one mix of ages sigma is {alike["standardized"]:+.2f}
  [{alike["standardized_low"]:+.2f}, {alike["standardized_high"]:+.2f}].

**A difference between groups is not an explanation of it.** With real people nobody knows what was
planted, and groups always differ in more than their name.
"""
    )
    charts.draw(
        mix_intervals(mixed),
        "lesson site",
        table=mixed,
        alt="Sigma by site: far from 0 as measured, around 0 at one mix of ages.",
    )


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=cache.MEASURED)
def compare_bias(before: StoredTable, after: StoredTable) -> pd.DataFrame:
    """Return `rbcore.inference.compare_bias` of two tables."""
    return inference.compare_bias(before.rows, after.rows, BY)


@st.cache_data(max_entries=4, show_spinner=False, hash_funcs=cache.MEASURED)
def at_one_mix(stored: StoredTable) -> pd.DataFrame:
    """Return sigma by site, raw and at one mix of age groups."""
    return raw_and_standardized(stored.rows, "site", ["class"])


@st.cache_resource(max_entries=1, show_spinner="Drawing the faces")
def faces_of_both() -> Dataset:
    """Return some of the faces."""
    return first_faces(DATASET)


@st.cache_resource(
    max_entries=2,
    show_spinner="Drawing the faces and searching for the smallest changes",
    hash_funcs=cache.MEASURED,
)
def typical(selection: Selection, stored: StoredTable) -> dict[str, Perturbations]:
    """Return `rbcore.analyses.typical_faces` of both lights."""
    return typical_faces(selection.run, stored.rows, BY, METHOD)


render()
