"""Images: the faces behind a number.

Many at the boundary, one from all sides, or one of each group at one budget.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import cards, closeup, numbers, results, selection, show
from pages.shell.text import plain
from rbcore import analyses
from rbcore.analyses import gallery
from rbcore.charts import class_probabilities, fooled_bars, rendering
from rbcore.distances.best import note_of, title_of
from rbcore.measures import Policy
from rbcore.partitions import group_labels, group_order

MANY, ONE, BUDGET = VIEWS = ("many images", cards.ONE, "one budget")
ALL, ANY, WITH_DISTANCE = "all groups", "any", "with a distance"
PER_PAGE = ("12", "24")
OF_SAMPLES = Policy(misclassified="exclude")


def first_page_again(*filters: object) -> None:
    """Turn back to the first page when what is shown there has changed."""
    if st.session_state.get("shown there") not in (None, filters):
        st.session_state["page"] = 1
    st.session_state["shown there"] = filters


def show_many() -> None:
    """Draw the images that fit the filters."""
    labels = group_labels(rows, chosen.by)
    classes = chosen.run.facts["classes"]
    columns = st.columns([2, 1, 1, 2], vertical_alignment="bottom")
    with columns[0]:
        group = selection.picker("Group", "group", [ALL, *group_order(labels)])
    with columns[1]:
        low = numbers.field("Distance from", "from")
    with columns[2]:
        high = numbers.field("to", "to", help="0: no upper limit")
    with columns[3]:
        order = selection.picker("Order", "sort", list(gallery.ORDERS))
    with st.expander("More filters"):
        columns = st.columns(4)
        with columns[0]:
            true_class = selection.picker("True class", "true", [ANY, *classes])
        with columns[1]:
            taken = selection.picker("Taken for, once changed", "into", [ANY, *classes])
        with columns[2]:
            status = selection.picker(
                "Status", "status", [WITH_DISTANCE, *sorted(rows["status"].unique())]
            )
        with columns[3]:
            per_page = int(selection.picker("Images a page", "per_page", list(PER_PAGE)))
    members = rows if group == ALL else rows[labels == group]
    wanted = analyses.choose_images(
        rows,
        chosen.by,
        group=None if group == ALL else group,
        low=low,
        high=high or np.inf,
        true_class=None if true_class == ANY else true_class,
        ends_as=None if taken == ANY else classes.index(taken),
        status=None if status == WITH_DISTANCE else status,
    )
    weights = chosen.run.sidecar(chosen.epoch)["sha256"]
    sure = (
        closeup.sureness(weights, chosen)
        if order in (gallery.LEAST_SURE, gallery.MOST_SURE)
        else None
    )
    ordered = analyses.order_images(wanted, order, sure)
    if members["distance"].notna().any():
        middle = analyses.median_distance(members, policy=OF_SAMPLES)
        interval = f" [{middle.low:.3g}, {middle.high:.3g}]" if np.isfinite(middle.low) else ""
        whose = "" if group == ALL else f" of {group}"
        st.markdown(
            plain(
                f"Half of the {middle.n:,} correctly classified images{whose} are fooled within "
                f"L2 {middle.median:.3g}{interval}."
            ).join(("#### ", ""))
        )
    by_whom = " by the smoothed classifier g" if "network_prediction" in members else ""
    n_wrong, n_failed = (
        int((~members["is_correct"]).sum()),
        int((members["status"] == "failed").sum()),
    )
    n_pages = max(1, -(-len(ordered) // per_page))
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    left.caption(
        f"{len(ordered):,} of {len(members):,} test images fit and are shown, {order}; {n_wrong} "
        f"are misclassified{by_whom} without any attack, {n_failed} have no result. Left: the "
        "image. Middle: what was changed, magnified around gray. Right: the changed image."
    )
    first_page_again(chosen.title, group, low, high, order, true_class, taken, status, per_page)
    with right:
        page = numbers.page_of(n_pages)
    if ordered.empty:
        st.info("No image fits these filters.")
        return
    cards.draw_cards(chosen, stored, ordered.iloc[(page - 1) * per_page : page * per_page])


@st.fragment
def walk_along(row, walk, classes: list[str]) -> None:
    """Draw the slider and what the network says where it stands."""
    step = st.slider(
        "Walk from the clean image (0) to the changed one (1) and beyond",
        0.0,
        1.2,
        0.0,
        0.1,
        key="walk",
        bind="query-params",
    )
    index = int(np.abs(walk.steps - step).argmin())
    probabilities = pd.DataFrame({"class": classes, "probability": walk.probabilities[index]})
    left, right = st.columns([1, 2])
    says = classes[walk.predictions[index]]
    left.image(
        rendering.to_uint8(walk.images[index], 240),
        caption=plain(f"at {step:.1f}: L2 {step * row.distance:.3g}, taken for {says}"),
        alt=f"{row.sample_id} at {step:.1f} of the way",
    )
    with right:
        show.chart(
            class_probabilities(
                probabilities,
                before=cards.network_class(chosen, row),
                after=cards.class_name(chosen, row.perturbed_prediction),
            ),
            "probabilities",
            table=pd.DataFrame(walk.probabilities, columns=classes).assign(step=walk.steps),
            alt=f"Probability of each class at {step:.1f} of the way; the highest is {says}.",
        )


def show_methods(sample: str) -> None:
    """Draw what every stored method says of a sample: first what the store holds, then the pictures, which take longer."""
    waiting = []
    for index, method in enumerate(rb.stored_methods(chosen.run, chosen.epoch)):
        if index % cards.COLUMNS == 0:
            columns = st.columns(cards.COLUMNS)
        table = rb.stored_distances(chosen.run, chosen.epoch, method)
        own = table.rows[table.rows["sample_id"] == sample]
        with columns[index % cards.COLUMNS].container(border=True):
            st.markdown(f"**{plain(title_of(method))}**")
            if own.empty:
                st.caption(f"Computed for {len(table.rows):,} other images, not for this one.")
                continue
            row = own.iloc[0]
            distance = "no distance" if np.isnan(row["distance"]) else f"**{row['distance']:.3g}**"
            if row["bound"] == "lower":
                st.markdown(f"certified radius {distance} · {row['status']}")
            else:
                after = cards.class_name(chosen, int(row["perturbed_prediction"]))
                st.markdown(f"{distance} → **{plain(after)}** · {row['status']}")
                waiting.append((st.empty(), method, table))
            st.caption(plain(note_of(method)))
    for slot, method, table in waiting:
        found = results.perturbations(table.key.digest, (sample,), replace(chosen, method=method))
        with slot.container():
            cards.strip_of(found.clean[0], found.perturbed[0], f"{sample} by {method}")


def show_one() -> None:
    """Draw one image from all sides."""
    sample = st.text_input(
        "Sample",
        key="sample",
        bind="query-params",
        placeholder="the id of a test image",
        help="As under each picture, and as in the URL.",
    ).strip()
    nearest = rows.sort_values(["distance", "sample_id"])["sample_id"].iloc[0]
    if not sample:
        st.caption(plain(f"No image is chosen, so this is the least robust one, {nearest}."))
        sample = nearest
    own = rows[rows["sample_id"] == sample]
    if own.empty:
        st.warning(
            plain(f"No test image with a result is called {sample!r}. One that is: {nearest}.")
        )
        return
    key = stored.key.digest
    found = results.perturbations(key, (sample,), chosen)
    row = next(found.table.itertuples())
    group = group_labels(own, chosen.by).iloc[0]
    if np.isnan(row.distance):
        st.markdown(f"#### {cards.before_and_after(chosen, row)}")
        st.caption(plain(f"{sample} · {chosen.partition_title} {group}"))
        cards.strip_of(found.clean[0], found.perturbed[0], sample, side=240)
        return
    before, after = (
        cards.network_class(chosen, row),
        cards.class_name(chosen, row.perturbed_prediction),
    )
    st.markdown(f"#### {plain(before)} becomes {plain(after)} within L2 {row.distance:.3g}")
    walk = closeup.walk(key, sample, chosen)
    rounded = int(walk.rounded_probabilities.argmax())
    in_words = cards.rounding_in_words(chosen, row, rounded)
    left, right = st.columns([2, 3])
    with left:
        cards.strip_of(found.clean[0], found.perturbed[0], sample, side=240)
        st.markdown(cards.before_and_after(chosen, row))
        factor = rendering.magnification(found.clean[0], found.perturbed[0])
        facts = (
            f"{sample} · {chosen.partition_title} {group} · true class "
            f"{cards.class_name(chosen, row.label)} · {row.status}"
        )
        st.caption(plain(f"{facts} · change magnified {factor:,.0f} times"))
        st.markdown(
            (
                f"The class changes after **{walk.crossing:.0%}** of the way, at L2 "
                f"**{walk.crossing * row.distance:.3g}**."
            )
            if np.isfinite(walk.crossing)
            else "On this line the network's own class does not change."
        )
        st.markdown(plain(f"{in_words.capitalize()} ({walk.rounded_probabilities[rounded]:.0%})."))
    with right:
        walk_along(row, walk, list(chosen.run.facts["classes"]))
    st.subheader("Every stored method on this image", anchor=False)
    show_methods(sample)


def show_budget() -> None:
    """Draw who is fooled within one budget: the share of each group, and the person in the middle of each."""
    known = rows["distance"].dropna()
    if known.empty:
        st.info("No image has a distance, so no budget fools anyone.")
        return
    tau = numbers.field(
        "Attack budget tau (L2; 0: the median distance)",
        "tau",
        help="An image is fooled if its distance is at most tau.",
    ) or float(f"{known.median():.3g}")
    fooled = analyses.fooled_at(rows, chosen.by, budget=tau)
    st.markdown(f"#### {plain(analyses.verdict_at_budget(fooled))}")
    show.chart(
        fooled_bars(fooled),
        "fooled",
        table=fooled,
        alt=(
            f"Share of each group's correct images fooled within L2 {tau:.3g}. "
            f"{analyses.verdict_at_budget(fooled)}"
        ),
    )
    st.caption(
        "Among correctly classified images, with 95% intervals (Clopper-Pearson) over test images "
        "for this one model."
    )
    st.subheader("One image of each group: the one in its middle", anchor=False)
    middle = analyses.median_images(rows, chosen.by)
    per_page = int(PER_PAGE[0])
    first_page_again(chosen.title, BUDGET)
    page = numbers.page_of(-(-len(middle) // per_page)) if len(middle) > per_page else 1
    shown = middle.iloc[(page - 1) * per_page : page * per_page]
    notes = {
        person.sample_id: (
            (
                f":red-badge[:material/close: fooled] {plain(person.group)}: "
                f"{person.distance:.3g} ≤ {tau:.3g}"
            )
            if person.distance <= tau
            else (
                f":blue-badge[:material/check: not fooled] {plain(person.group)}: "
                f"{person.distance:.3g} > {tau:.3g}"
            )
        )
        for person in shown.itertuples()
    }
    st.caption(
        "Of each group the image of median distance: half of the group's images with a distance "
        "are fooled sooner, half later. Left: the image. Middle: the change that fools the model, "
        "magnified. Right: the changed image."
    )
    cards.draw_cards(
        chosen, stored, rows.set_index("sample_id", drop=False).loc[list(shown["sample_id"])], notes
    )


chosen = selection.current()
st.title("Images at the boundary", anchor=False)
st.caption(f"{plain(chosen.title)}. {chosen.method_note}")
stored = results.distances(chosen)
rows = stored.rows
results.warn_of_fallbacks(rows, chosen.method)
if (rows["bound"] == "lower").all():
    st.info(
        "A certificate says how far an image is safe; it has no changed image to show. Pick an "
        "attack in the sidebar."
    )
    st.stop()
if "view" not in st.session_state and "view" not in st.query_params and "sample" in st.query_params:
    st.session_state["view"] = ONE  # a link to an image
view = st.segmented_control(
    "View",
    VIEWS,
    default=MANY,
    key="view",
    bind="query-params",
    required=True,
    label_visibility="collapsed",
)
{MANY: show_many, ONE: show_one, BUDGET: show_budget}[view]()
st.caption(chosen.spec.caution)
