"""Start: what robustness bias is, on points in a plane to try by hand; then on images."""

import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import cache, charts, navigation
from pages.shell.selection import Selection, current
from pages.shell.text import escape_markdown
from rbcore import wording
from rbcore.analyses import budget_toys, class_toy
from rbcore.charts import toy_explorer

CLASSES, SUBGROUPS = "Three classes", "Two classifiers"
TAU, TAU_MAX, WIDTH = 0.1, 0.3, 240
HINTS = {
    CLASSES: (
        "**Drag tau.** Points of three classes, and the decision boundaries of a classifier. It "
        "classifies nearly all points of each class correctly. But brown lies between the other "
        "two, and is fooled first."
    ),
    SUBGROUPS: (
        "**Switch the classifier.** Both classify all 80 points correctly. The round points lie "
        "closer to the boundary of A than the crosses do, and about as close to that of B. Same "
        "points, same accuracy, different bias."
    ),
}


def render(selection: Selection) -> None:
    """Draw the toy, and what is known of the selection."""
    st.title("Who is fooled first?", anchor=False)
    st.markdown(
        "An attacker may change every image a little: by at most **tau**. An image closer to the "
        "model's decision boundary than tau can be turned into a mistake. Where the images of one "
        "group lie closer than the others', that group is fooled first, even if the model is right "
        "about all groups equally often. That is **robustness bias**."
    )
    left, right = st.columns([9, 11], gap="medium")
    with right:
        toy = st.segmented_control(
            "Toy",
            [CLASSES, SUBGROUPS],
            default=CLASSES,
            required=True,
            label_visibility="collapsed",
        )
        st.markdown(HINTS[toy])
    with left:
        draw_toy(toy)
    with right:
        draw_result(selection)
    st.caption(selection.spec.caution)


def draw_toy(toy: str) -> None:
    """Draw the points and boundaries of a toy, with its slider of tau."""
    points, boundaries = toy_tables(toy)
    charts.draw(
        toy_explorer(points, boundaries, tau=TAU, tau_max=TAU_MAX, width=WIDTH),
        "toy",
        width="content",
        table=points,
        alt=(
            "Points in a plane around a classifier's boundaries, with a slider of tau; below, the "
            "share of each group that is correct and farther than tau from a boundary."
        ),
    )


def draw_result(selection: Selection) -> None:
    """Say which group of the selection is least robust, or where to measure it."""
    st.subheader("Now on images", anchor=False)
    stored = None
    if selection.run is not None:
        stored = rb.stored_distances(selection.run, selection.epoch, selection.method)
    if stored is None:
        st.markdown(f"Nothing is measured yet for {escape_markdown(selection.title)}.")
        deeper = "Compute", "Measure it on the Compute page"
    else:
        bias = cache.bias(selection, stored)
        st.markdown(escape_markdown(rb.verdict(bias)))
        p_global = wording.p_in_words(bias["p_global"].iloc[0])
        st.caption(
            f"{escape_markdown(selection.title)}; n = {len(stored.rows):,} test images. Any "
            f"difference between the groups: {p_global}."
        )
        deeper = "Curves", "The curves behind this"
    with st.container(horizontal=True):
        for title, label in (deeper, ("Lesson", "A lesson in five steps")):
            st.page_link(navigation.page(title), label=label, icon=":material/arrow_forward:")


@st.cache_data(max_entries=2, show_spinner=False)
def toy_tables(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the points of a toy, and the ends of its classifiers' straight boundaries."""
    toys = {"": class_toy()} if name == CLASSES else dict(zip("AB", budget_toys(), strict=True))
    points = [of.distances.assign(classifier=classifier) for classifier, of in toys.items()]
    lines = [
        of.boundaries.query("offset == 0").assign(classifier=classifier)
        for classifier, of in toys.items()
    ]
    ends = pd.concat(lines, ignore_index=True).groupby(["classifier", "line"]).nth([0, -1])
    return pd.concat(points, ignore_index=True), ends


render(current())
