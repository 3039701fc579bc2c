"""Lesson: guess, look, measure, test, mitigate, for a class, on faces drawn by code.

The truth comes last.
"""

import numpy as np
import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import menu, results, selection, show
from pages.shell.selection import Selection
from pages.shell.text import plain
from rbcore import analyses, inference, wording
from rbcore.analyses import first_faces, raw_and_standardized, typical_faces
from rbcore.charts import bias_intervals, mix_intervals, rendering, robustness_curves
from rbcore.datasets import Dataset, toyfaces
from rbcore.distances.perturbed import Perturbations
from rbcore.store import StoredTable

DATASET, MODEL, METHOD = "toyfaces", "small_cnn", "deepfool"
BY, PLANTED = "lighting", "dim"
GUESSES = {
    "bright": "Faces in bright light",
    "dim": "Faces in dim light",
    "neither": "Neither: no difference",
}
LIGHTS = ("bright", "dim")
POLICY = rb.Policy()


def kept_guess() -> str | None:
    """Return what the class guessed, from the link or from earlier in this visit."""
    guess = st.query_params.get("guess", st.session_state.get("class guess"))
    if guess not in GUESSES:
        return None
    st.session_state["class guess"] = st.query_params["guess"] = guess
    return guess


def keep_guess() -> None:
    """Keep what was just picked."""
    st.session_state["class guess"] = st.query_params["guess"] = st.session_state["guess picked"]


def the_faces() -> Selection:
    """Return the newest plain run on the toy faces, whatever the sidebar shows."""
    run = next((run for run in rb.list_runs(DATASET, MODEL) if run.is_usual), None)
    return Selection(DATASET, BY, MODEL, run, None if run is None else run.n_epochs, METHOD)


def guess_first(of: Selection, stored: StoredTable) -> None:
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
        "With whom is the smallest change enough? (Guessing is optional.)",
        list(GUESSES),
        index=None if guess is None else list(GUESSES).index(guess),
        format_func=GUESSES.get,
        key="guess picked",
        on_change=keep_guess,
    )


def look(of: Selection, stored: StoredTable) -> None:
    """Show typical faces of both groups with what had to be changed, magnified alike."""
    st.markdown(
        "For each group the most typical faces: as many of the group need a larger change as need "
        "a smaller one. **Left** the face, **right** the face that fools the model, in the "
        "**middle** what was changed, magnified alike everywhere. Where is the change fainter?"
    )
    found = typical(stored.checksum, of, stored)
    factor = min(
        rendering.magnification(*pair)
        for light in LIGHTS
        for pair in zip(found[light].clean, found[light].perturbed, strict=True)
    )
    classes = of.run.facts["classes"]
    for column, light in zip(st.columns(2), LIGHTS, strict=True):
        column.markdown(f"**{light} light**")
        faces = found[light]
        for clean, perturbed, row in zip(
            faces.clean, faces.perturbed, faces.table.itertuples(), strict=True
        ):
            column.image(
                rendering.strip(clean, np.clip(perturbed, 0, 1), 64, factor),
                caption=(
                    f"taken for {classes[row.prediction]}, then for "
                    f"{classes[row.perturbed_prediction]}"
                ),
                width="stretch",
                alt=f"A face in {light} light: clean, change magnified {factor:.0f} times, changed",
            )


def measure(of: Selection, stored: StoredTable) -> None:
    """Show the curves with their names, and sigma."""
    bias = bias_by(stored, BY).set_index("group")
    said = "; ".join(
        (
            f"**{plain(str(group))}: sigma = {row.sigma:+.2f}** [{row.low:+.2f}, "
            f"{row.high:+.2f}], n = {row.n:,}"
        )
        for group, row in bias.iterrows()
    )
    st.markdown(
        "Each curve says what share of a group the model still gets right when every image may be "
        "changed by up to tau. **Sigma** compares the area under a group's curve with that of the "
        "rest: below 0, the group is less robust. In brackets, where sigma may lie (95% "
        f"interval). {said}."
    )
    show.chart(
        robustness_curves(stored.rows, BY, height=290),
        "lesson curves",
        table=inference.curves(
            stored.rows, BY, taus=np.linspace(0, float(stored.rows["distance"].max()), 100)
        ),
        alt=(
            "One curve for bright and one for dim faces: share correct and "
            f"farther than tau. {said}"
        ),
    )


def test(of: Selection, stored: StoredTable) -> None:
    """Test the groups of the light, and those of a coin."""
    st.markdown(
        "Deal the faces out to two groups at random, thousands of times. **p** is the share "
        "of deals in which the groups differ at least as much as the real ones: a small p is "
        "hard to explain by chance. To see what chance looks like, the same faces by the "
        "**camera** that took them."
    )
    tables = {by: bias_by(stored, by) for by in (BY, "camera")}
    for by, bias in tables.items():
        st.markdown(f"**By {by}:** {plain(rb.verdict(bias))}")
    both = pd.concat(
        [
            bias.assign(group=[f"{by}: {group}" for group in bias["group"]])
            for by, bias in tables.items()
        ],
        ignore_index=True,
    )
    show.chart(
        bias_intervals(both),
        "lesson tests",
        table=both,
        alt="Sigma with its interval by lighting, far from 0, and by camera, around 0.",
    )


def mitigate(of: Selection, stored: StoredTable) -> None:
    """Compare the plain run with those trained with a term that asks for equal distances."""
    st.markdown(
        "Training can be told to want more than being right: a further term in its loss asks that "
        "both groups lie equally far from the boundary. Two simpler remedies stand beside it: "
        "training on attacked faces, and counting some faces more. All may cost something, so "
        "look at the accuracy too."
    )
    tables = {
        f"{analyses.KINDS[run.mitigation['kind']]}, {analyses.setting_of(run)}": table
        for run in analyses.mitigated_runs(of.run)
        if run.is_complete and (table := rb.stored_distances(run, "last", METHOD)) is not None
    }
    if not tables:
        st.info(
            "No such training is here yet, so this step has nothing to show. Two commands make "
            "one, in some minutes; then open this step again."
        )
        st.code(
            f"python -m rbcore train {DATASET} {MODEL} --regularize {BY}={PLANTED} --alpha 0.3 "
            "--tau 0.3 --run fair\n"
            f"python -m rbcore estimate {DATASET} {MODEL} {METHOD} --run fair",
            language="bash",
            wrap_lines=True,
        )
        return
    rows = [bias_by(table, BY).query("group == @PLANTED") for table in (stored, *tables.values())]
    both = pd.concat(
        [row.assign(group=name) for name, row in zip(("plain", *tables), rows, strict=True)]
    )
    for name, table in tables.items():
        change = (
            compared(stored.checksum, table.checksum, stored.rows, table.rows)
            .set_index("group")
            .loc[PLANTED]
        )
        kind = "a change is shown" if change["is_shown"] else "no change is shown"
        st.markdown(
            f"**{plain(name)}**: sigma of {PLANTED} went from {change['sigma_first']:+.2f} to "
            f"{change['sigma_second']:+.2f} (change {change['difference']:+.2f} "
            f"[{change['low']:+.2f}, {change['high']:+.2f}], n = {change['n']:,}: {kind}); "
            f"accuracy from {stored.rows['is_correct'].mean():.1%} to "
            f"{table.rows['is_correct'].mean():.1%} of {len(table.rows):,} faces."
        )
    show.chart(
        bias_intervals(both.reset_index(drop=True)),
        "lesson mitigation",
        table=both,
        alt=f"Sigma of {PLANTED} faces by plain training and by each remedy.",
    )


def reveal(of: Selection, stored: StoredTable) -> None:
    """Say what was planted, whether the guess was right, and where the measure alone would have misled."""
    guess = kept_guess()
    if guess is None:
        st.markdown("No guess was made in step 1.")
    else:
        st.markdown(
            f"Your guess: **{GUESSES[guess].lower()}**. "
            + ("**That is right.**" if guess == PLANTED else "It is the faces in **dim** light.")
        )
    contrast = 1 - 0.75 * toyfaces.STRENGTH
    site = bias_by(stored, "site")
    lowest = wording.least_robust(site)
    mixed = at_one_mix(stored.checksum, stored.rows)
    alike = mixed.set_index("group").loc[lowest["group"]]
    camera = wording.p_in_words(bias_by(stored, "camera")["p_global"].iloc[0])
    st.markdown(
        f"""
- **Light: planted.** In dim light the marks of age, such as wrinkles and gray hair, are drawn with {contrast:.0%} of their
  contrast. So less has to be changed until they mislead.
- **Camera: a coin.** It was thrown after the drawing; no pixel depends on it. The test found nothing
  ({camera}, n = {len(stored.rows):,}), as it should.
- **Site: a trap.** By the place where they were taken, {plain(lowest["group"])} faces look less robust: sigma = {lowest["sigma"]:+.2f}
  [{lowest["low"]:+.2f}, {lowest["high"]:+.2f}], n = {lowest["n"]:,}. But no pixel depends on the site either: it only
  follows the age, and some ages are harder. At one mix of ages sigma is {alike["standardized"]:+.2f}
  [{alike["standardized_low"]:+.2f}, {alike["standardized_high"]:+.2f}].

**A difference between groups is not an explanation of it.** With real people nobody knows what was planted, and groups
always differ in more than their name.
"""
    )
    show.chart(
        mix_intervals(mixed),
        "lesson site",
        table=mixed,
        alt="Sigma by site: far from 0 as measured, around 0 at one mix of ages.",
    )


def bias_by(stored: StoredTable, by: str) -> pd.DataFrame:
    """Return the table of robustness bias under the default definitions."""
    return results.bias(stored.checksum, by, repr(POLICY), stored.rows, POLICY)


@st.cache_data(max_entries=16, show_spinner=False)
def compared(first: str, second: str, _first: pd.DataFrame, _second: pd.DataFrame) -> pd.DataFrame:
    """Return `rbcore.inference.compare_bias` of two tables, kept by their checksums."""
    return inference.compare_bias(_first, _second, BY)


@st.cache_data(max_entries=4, show_spinner=False)
def at_one_mix(checksum: str, _rows: pd.DataFrame) -> pd.DataFrame:
    """Return sigma by site, raw and at one mix of age groups, kept by the checksum of the rows."""
    return raw_and_standardized(_rows, "site", ["class"])


@st.cache_resource(max_entries=1, show_spinner="Drawing the faces")
def faces_of_both() -> Dataset:
    """Return some of the faces."""
    return first_faces(DATASET)


@st.cache_resource(
    max_entries=2, show_spinner="Drawing the faces and looking for the smallest changes"
)
def typical(checksum: str, _of: Selection, _stored: StoredTable) -> dict[str, Perturbations]:
    """Return `rbcore.analyses.typical_faces`, kept by the checksum of the distances."""
    return typical_faces(_of.run, _stored.rows, BY, METHOD)


STEPS = {
    "guess": ("Which faces are fooled first?", guess_first),
    "look": ("How much must be changed?", look),
    "measure": ("By how much do the groups differ?", measure),
    "test": ("Could it be chance?", test),
    "mitigate": ("Can training mend it?", mitigate),
    "truth": ("The truth", reveal),
}
NAMES = list(STEPS)

selection.current()
st.title("A lesson in five steps", anchor=False)
asked = st.query_params.get("step")
if asked is not None and asked not in STEPS:
    st.warning(
        plain(
            f"The link asks for the step {asked!r}, which this lesson does not have; "
            f"showing {NAMES[0]!r}."
        )
    )
with st.container(horizontal=True, vertical_alignment="center"):
    step = st.segmented_control(
        "Step",
        NAMES,
        default=NAMES[0],
        required=True,
        key="step",
        bind="query-params",
        label_visibility="collapsed",
    )
    position, last = NAMES.index(step), len(NAMES) - 1
    back, following = NAMES[max(position - 1, 0)], NAMES[min(position + 1, last)]
    st.button("Back", on_click=selection.put, kwargs={"step": back}, disabled=position == 0)
    st.button(
        "Next",
        type="primary",
        on_click=selection.put,
        kwargs={"step": following},
        disabled=position == last,
    )
title, draw = STEPS[step]
st.subheader(
    title if step == NAMES[-1] else f"{position + 1} of {len(NAMES) - 1}: {title}", anchor=False
)
faces = the_faces()
draw(faces, results.distances(faces))
if step == NAMES[-1]:
    st.page_link(menu.page("Curves"), label="Explore on your own", icon=":material/arrow_forward:")
caution = (
    faces.spec.caution if step == NAMES[-1] else "Synthetic: drawn by code, no person behind them."
)
st.caption(
    f"{caution} Whatever the sidebar shows, the lesson uses the toy faces and "
    f"{faces.model_title}, DeepFool."
)
