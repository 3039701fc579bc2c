"""Start: what robustness bias is, on points in a plane that can be tried by hand, and then on what is selected."""

import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import definitions, menu, results, selection, show
from pages.shell.text import plain
from rbcore import wording
from rbcore.analyses import budget_toys, class_toy
from rbcore.charts import toy_explorer

CLASSES, SUBGROUPS = "Three classes", "Two classifiers"
TAU, TAU_MAX, WIDTH = 0.1, 0.3, 240
HINTS = {
    CLASSES: (
        "**Drag tau.** Three classes of points, and the lines where a classifier changes its "
        "mind. It is right about nearly all points of each class. But brown lies between the "
        "other two, and runs out first."
    ),
    SUBGROUPS: (
        "**Switch the classifier.** Both are right about all 80 points. To the line of A, the "
        "round points lie closer than the crosses; to that of B, about as close. Same points, "
        "same accuracy, other bias."
    ),
}


@st.cache_data(max_entries=2, show_spinner=False)
def toy(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return points and boundaries of the toy's classifiers.

    The boundaries are straight, so their ends say all.
    """
    toys = {"": class_toy()} if name == CLASSES else dict(zip("AB", budget_toys(), strict=True))
    points = [of.distances.assign(classifier=classifier) for classifier, of in toys.items()]
    lines = [
        of.boundaries.query("offset == 0").assign(classifier=classifier)
        for classifier, of in toys.items()
    ]
    ends = pd.concat(lines, ignore_index=True).groupby(["classifier", "line"]).nth([0, -1])
    return pd.concat(points, ignore_index=True), ends


chosen = selection.current()
st.title("Who is fooled first?", anchor=False)
st.markdown(
    "An attacker may change every image a little: by at most **tau**. An image closer to the "
    "model's decision boundary than tau can be turned into a mistake. Where the images of one "
    "group lie closer than the others', that group is fooled first, even if the model is right "
    "about all groups equally often. That is **robustness bias**."
)
plane, words = st.columns([9, 11], gap="medium")
with words:
    which = st.segmented_control(
        "Toy", [CLASSES, SUBGROUPS], default=CLASSES, required=True, label_visibility="collapsed"
    )
    st.markdown(HINTS[which])
with plane:
    points, boundaries = toy(which)
    show.chart(
        toy_explorer(points, boundaries, tau=TAU, tau_max=TAU_MAX, width=WIDTH),
        "toy",
        width="content",
        table=points,
        alt=(
            "Points in a plane around a classifier's boundaries, with a slider of tau; below, the "
            "share of each group that is correct and farther than tau from a boundary."
        ),
    )
with words:
    st.subheader("Now on images", anchor=False)
    stored = (
        None if chosen.run is None else rb.stored_distances(chosen.run, chosen.epoch, chosen.method)
    )
    if stored is None:
        st.markdown(f"Nothing is measured yet for {plain(chosen.title)}.")
        deeper = "Compute", "Measure it on the Compute page"
    else:
        policy = definitions.pick()
        bias = results.bias(stored.checksum, chosen.by, repr(policy), stored.rows, policy)
        st.markdown(plain(rb.verdict(bias)))
        p_global = wording.p_in_words(bias["p_global"].iloc[0])
        st.caption(
            f"{plain(chosen.title)}; n = {len(stored.rows):,} test images. Any difference between "
            f"the groups: {p_global}."
        )
        deeper = "Curves", "The curves behind this"
    with st.container(horizontal=True):
        for title, label in (deeper, ("Lesson", "A lesson in five steps")):
            st.page_link(menu.page(title), label=label, icon=":material/arrow_forward:")
st.caption(chosen.spec.caution)
