"""Images: many at the boundary, one in detail, or one of each group at one budget."""

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import cache, charts, forms, images, missing_data
from pages.shell.forms import picker
from pages.shell.selection import Selection, current
from pages.shell.text import escape_markdown, format_interval
from rbcore import analyses
from rbcore.analyses import gallery
from rbcore.charts import class_probabilities, fooled_bars, rendering
from rbcore.distances.best import note_of, title_of
from rbcore.distances.interpolation import Walk
from rbcore.measures import Policy
from rbcore.partitions import group_labels, group_order
from rbcore.store import StoredTable

MANY, ONE, BUDGET = "many images", images.ONE, "one budget"
ALL, ANY, WITH_DISTANCE = "all groups", "any", "with a distance"
PER_PAGE = ("12", "24")
OF_SAMPLES = Policy(misclassified="exclude")


def render(selection: Selection) -> None:
    """Draw the view that is picked."""
    st.title("Images at the boundary", anchor=False)
    st.caption(f"{escape_markdown(selection.title)}. {selection.method_note}")
    stored = missing_data.stored_or_stop(selection)
    missing_data.warn_of_fallbacks(stored.rows, selection.method)
    if (stored.rows["bound"] == "lower").all():
        st.info(
            "A certificate says how far an image is safe; it has no changed image to show. Pick "
            "an attack in the sidebar."
        )
        return
    views: dict[str, Callable[[Selection, StoredTable], None]] = {
        MANY: draw_many,
        ONE: draw_one,
        BUDGET: draw_budget,
    }
    is_linked = "sample" in st.query_params and "view" not in st.query_params
    if is_linked and "view" not in st.session_state:
        st.session_state["view"] = ONE  # a link to an image
    view = st.segmented_control(
        "View",
        list(views),
        default=MANY,
        key="view",
        bind="query-params",
        required=True,
        label_visibility="collapsed",
    )
    views[view](selection, stored)
    st.caption(selection.spec.caution)


@dataclass(frozen=True)
class Filters:
    """Which images are shown, in which order, and how many a page; None where all fit."""

    group: str | None
    low: float
    high: float
    true_class: str | None
    ends_as: int | None
    status: str | None
    order: str
    per_page: int


def pick_filters(selection: Selection, rows: pd.DataFrame) -> Filters:
    """Draw the filters."""
    classes = selection.run.facts.classes
    columns = st.columns([2, 1, 1, 2], vertical_alignment="bottom")
    with columns[0]:
        group = picker("Group", "group", [ALL, *group_order(group_labels(rows, selection.by))])
    with columns[1]:
        low = forms.number_field("Distance from", "from")
    with columns[2]:
        high = forms.number_field("to", "to", help="0: no upper limit")
    with columns[3]:
        order = picker("Order", "sort", list(gallery.ORDERS))
    with st.expander("More filters"):
        columns = st.columns(4)
        with columns[0]:
            true_class = picker("True class", "true", [ANY, *classes])
        with columns[1]:
            taken = picker("Class after the change", "into", [ANY, *classes])
        with columns[2]:
            status = picker("Status", "status", [WITH_DISTANCE, *sorted(rows["status"].unique())])
        with columns[3]:
            per_page = picker("Images a page", "per_page", list(PER_PAGE))
    return Filters(
        group=None if group == ALL else group,
        low=low,
        high=high or np.inf,
        true_class=None if true_class == ANY else true_class,
        ends_as=None if taken == ANY else classes.index(taken),
        status=None if status == WITH_DISTANCE else status,
        order=order,
        per_page=int(per_page),
    )


def draw_many(selection: Selection, stored: StoredTable) -> None:
    """Draw the images that fit the filters."""
    rows = stored.rows
    filters = pick_filters(selection, rows)
    members = rows
    if filters.group is not None:
        members = rows[group_labels(rows, selection.by) == filters.group]
    wanted = analyses.choose_images(
        rows,
        selection.by,
        group=filters.group,
        low=filters.low,
        high=filters.high,
        true_class=filters.true_class,
        ends_as=filters.ends_as,
        status=filters.status,
    )
    needs_confidence = filters.order in (gallery.LEAST_CONFIDENT, gallery.MOST_CONFIDENT)
    confidence = cache.confidence(selection) if needs_confidence else None
    ordered = analyses.order_images(wanted, filters.order, confidence)
    draw_median(members, filters.group)
    n_pages = max(1, -(-len(ordered) // filters.per_page))
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    left.caption(describe_many(ordered, members, filters.order))
    turn_to_first_page((selection.title, *astuple(filters)))
    with right:
        page = forms.page_field(n_pages)
    if ordered.empty:
        st.info("No image fits these filters.")
        return
    start = (page - 1) * filters.per_page
    images.draw_cards(selection, stored, ordered.iloc[start : start + filters.per_page])


def draw_median(members: pd.DataFrame, group: str | None) -> None:
    """Say within which distance half of the correctly classified images are fooled."""
    if members["distance"].isna().all():
        return
    middle = analyses.median_distance(members, policy=OF_SAMPLES)
    whose = "" if group is None else f" of {group}"
    verdict = (
        f"Half of the {middle.n:,} correctly classified images{whose} are fooled within L2 "
        f"{middle.median:.3g}{format_interval(middle.low, middle.high, '.3g')}."
    )
    st.markdown(f"#### {escape_markdown(verdict)}")


def describe_many(ordered: pd.DataFrame, members: pd.DataFrame, order: str) -> str:
    """Say how many images fit, how many have no distance, and what a card shows."""
    by_g = " by the smoothed classifier g" if "network_prediction" in members else ""
    n_wrong = int((~members["is_correct"]).sum())
    n_failed = int((members["status"] == "failed").sum())
    return (
        f"{len(ordered):,} of {len(members):,} test images fit and are shown, {order}; {n_wrong} "
        f"are misclassified{by_g} without any attack, {n_failed} have no result. Left: the image. "
        "Middle: the change, magnified around gray. Right: the changed image."
    )


def turn_to_first_page(shown: object) -> None:
    """Turn back to the first page where something else is shown than before."""
    if st.session_state.get("shown before") not in (None, shown):
        st.session_state["page"] = 1
    st.session_state["shown before"] = shown


def draw_one(selection: Selection, stored: StoredTable) -> None:
    """Draw one image in detail."""
    rows = stored.rows
    sample = st.text_input(
        "Sample",
        key="sample",
        bind="query-params",
        placeholder="the id of a test image",
        help="As under each image, and as in the URL.",
    ).strip()
    nearest = rows.sort_values(["distance", "sample_id"])["sample_id"].iloc[0]
    if not sample:
        st.caption(
            escape_markdown(f"No image is picked, so this is the least robust one, {nearest}.")
        )
        sample = nearest
    own = rows[rows["sample_id"] == sample]
    if own.empty:
        st.warning(
            escape_markdown(
                f"No test image with a result has the id {sample!r}. One that has: {nearest}."
            )
        )
        return
    found = cache.perturbations(selection, stored, (sample,))
    clean, perturbed = found.clean[0], found.perturbed[0]
    row = next(found.table.itertuples())
    where = f"{sample} · {selection.partition_title} {group_labels(own, selection.by).iloc[0]}"
    if np.isnan(row.distance):
        st.markdown(f"#### {images.describe_predictions(selection, row)}")
        st.caption(escape_markdown(where))
        images.draw_strip(clean, perturbed, sample, side=240)
        return
    before = escape_markdown(images.network_class(selection, row))
    after = escape_markdown(images.class_name(selection, row.perturbed_prediction))
    st.markdown(f"#### {before} becomes {after} within L2 {row.distance:.3g}")
    walk = cache.walk(selection, stored, sample)
    left, right = st.columns([2, 3])
    with left:
        images.draw_strip(clean, perturbed, sample, side=240)
        st.markdown(images.describe_predictions(selection, row))
        factor = rendering.magnification(clean, perturbed)
        true_class = images.class_name(selection, row.label)
        st.caption(
            escape_markdown(
                f"{where} · true class {true_class} · {row.status} · change magnified "
                f"{factor:,.0f} times"
            )
        )
        describe_walk(selection, row, walk)
    with right:
        draw_walk(selection, row, walk)
    st.subheader("Every stored method on this image", anchor=False)
    draw_methods(selection, sample)


def describe_walk(selection: Selection, row, walk: Walk) -> None:
    """Say where on the way the class changes, and what rounding leaves of the change."""
    if np.isfinite(walk.crossing):
        st.markdown(
            f"The class changes after **{walk.crossing:.0%}** of the way, at L2 "
            f"**{walk.crossing * row.distance:.3g}**."
        )
    else:
        st.markdown("On this line the network's own class does not change.")
    rounded = int(walk.rounded_probabilities.argmax())
    said = images.describe_rounding(selection, row, rounded).capitalize()
    st.markdown(escape_markdown(f"{said} ({walk.rounded_probabilities[rounded]:.0%})."))


@st.fragment
def draw_walk(selection: Selection, row, walk: Walk) -> None:
    """Draw the slider between the two images, and what the network predicts where it stands."""
    classes = list(selection.run.facts.classes)
    step = st.slider(
        "From the clean image (0) to the changed one (1) and beyond",
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
        caption=escape_markdown(f"at {step:.1f}: L2 {step * row.distance:.3g}, predicted {says}"),
        alt=f"{row.sample_id} at {step:.1f} of the way",
    )
    with right:
        charts.draw(
            class_probabilities(
                probabilities,
                before=images.network_class(selection, row),
                after=images.class_name(selection, row.perturbed_prediction),
            ),
            "probabilities",
            table=pd.DataFrame(walk.probabilities, columns=classes).assign(step=walk.steps),
            alt=f"Probability of each class at {step:.1f} of the way; the highest is {says}.",
        )


def draw_methods(selection: Selection, sample: str) -> None:
    """Draw what every stored method says of a sample: first the numbers, then the images."""
    waiting = []
    for index, method in enumerate(rb.stored_methods(selection.run, selection.epoch)):
        if index % images.COLUMNS == 0:
            columns = st.columns(images.COLUMNS)
        table = rb.stored_distances(selection.run, selection.epoch, method)
        own = table.rows[table.rows["sample_id"] == sample]
        with columns[index % images.COLUMNS].container(border=True):
            st.markdown(f"**{escape_markdown(title_of(method))}**")
            if own.empty:
                st.caption(f"Computed for {len(table.rows):,} other images, not for this one.")
                continue
            row = own.iloc[0]
            distance = "no distance" if np.isnan(row["distance"]) else f"**{row['distance']:.3g}**"
            if row["bound"] == "lower":
                st.markdown(f"certified radius {distance} · {row['status']}")
            else:
                after = images.class_name(selection, int(row["perturbed_prediction"]))
                st.markdown(f"{distance} → **{escape_markdown(after)}** · {row['status']}")
                waiting.append((st.empty(), method, table))
            st.caption(escape_markdown(note_of(method)))
    for slot, method, table in waiting:
        found = cache.perturbations(replace(selection, method=method), table, (sample,))
        with slot.container():
            images.draw_strip(found.clean[0], found.perturbed[0], f"{sample} by {method}")


def draw_budget(selection: Selection, stored: StoredTable) -> None:
    """Draw the share of each group fooled within one budget, and a typical image of each."""
    rows = stored.rows
    known = rows["distance"].dropna()
    if known.empty:
        st.info("No image has a distance, so no budget fools anyone.")
        return
    tau = forms.number_field(
        "Attack budget tau (L2; 0: the median distance)",
        "tau",
        help="An image is fooled if its distance is at most tau.",
    ) or float(f"{known.median():.3g}")
    fooled = analyses.fooled_at(rows, selection.by, budget=tau)
    verdict = analyses.verdict_at_budget(fooled)
    st.markdown(f"#### {escape_markdown(verdict)}")
    charts.draw(
        fooled_bars(fooled),
        "fooled",
        table=fooled,
        alt=f"Share of each group's correct images fooled within L2 {tau:.3g}. {verdict}",
    )
    st.caption(
        "Among correctly classified images, with 95% intervals (Clopper-Pearson) over test images "
        "for this one model."
    )
    st.subheader("The image of median distance in each group", anchor=False)
    middle = analyses.median_images(rows, selection.by)
    per_page = int(PER_PAGE[0])
    turn_to_first_page((selection.title, BUDGET))
    n_pages = -(-len(middle) // per_page)
    page = forms.page_field(n_pages) if n_pages > 1 else 1
    shown = middle.iloc[(page - 1) * per_page : page * per_page]
    st.caption(
        "Of each group the image of median distance: half of the group's images with a distance "
        "are fooled within a smaller one, half are not. Left: the image. Middle: the change that "
        "fools the model, magnified. Right: the changed image."
    )
    members = rows.set_index("sample_id", drop=False).loc[list(shown["sample_id"])]
    notes = {row.sample_id: describe_budget(row, tau) for row in shown.itertuples()}
    images.draw_cards(selection, stored, members, notes)


def describe_budget(row, tau: float) -> str:
    """Return a badge that says whether an image is fooled within a budget."""
    group = escape_markdown(row.group)
    if row.distance <= tau:
        badge, compared = ":red-badge[:material/close: fooled]", "≤"
    else:
        badge, compared = ":blue-badge[:material/check: not fooled]", ">"
    return f"{badge} {group}: {row.distance:.3g} {compared} {tau:.3g}"


render(current())
