"""Agreement: do two methods agree, image by image and group by group, and where do they not."""

from dataclasses import replace

import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import cache, charts, missing_data, navigation
from pages.shell.forms import picker
from pages.shell.images import ONE
from pages.shell.selection import Selection, current
from pages.shell.text import escape_markdown, format_interval
from rbcore import analyses
from rbcore.charts import (
    MOST_POINTS,
    agreement_scatter,
    certificate_segments,
    distance_scatter,
    evenly,
    thinned,
)
from rbcore.distances import resolve_method
from rbcore.distances.best import BEST, note_of, title_of
from rbcore.partitions import partition_names
from rbcore.store import StoredTable

NEXT_METHODS = ("minimal", "deepfool")
N_IMAGES = 6
# The distances by two methods.
Pair = tuple[StoredTable, StoredTable]


def render(selection: Selection) -> None:
    """Compare the distances, and sigma of every group, by two methods."""
    st.title("Do the methods agree?", anchor=False)
    st.caption(
        escape_markdown(
            f"{selection.spec.title} · by {selection.partition_title} · {selection.model_title}"
        )
        + (f" · epoch {selection.epoch} of {selection.run.n_epochs}" if selection.run else "")
    )
    if selection.run is None:
        missing_data.report_untrained(selection.model, selection)
        return
    methods = rb.stored_methods(selection.run, selection.epoch)
    if len(methods) < 2:
        offer_another(selection, methods)
        return
    first, second = pick_methods(selection, methods)
    tables = tuple(
        rb.stored_distances(selection.run, selection.epoch, method) for method in (first, second)
    )
    pairs = analyses.paired_distances(tables[0].rows, tables[1].rows, selection.by)
    if pairs.empty:
        st.info("No image has a distance by both methods.")
        return
    sigmas, agreement = compare_groups(selection, tables)
    draw_verdict(agreement, pairs, first, second)
    for method, table in zip((first, second), tables, strict=True):
        st.caption(escape_markdown(f"{title_of(method)}: {note_of(method)}"))
        missing_data.warn_of_fallbacks(table.rows, method)
    draw_images(pairs, first, second)
    draw_groups(sigmas, agreement, first, second)
    draw_certificates(selection, methods)
    st.caption(selection.spec.caution)


def offer_another(selection: Selection, stored: list[str]) -> None:
    """Say that two methods are needed, and offer to compute another."""
    another = replace(selection, method=next(name for name in NEXT_METHODS if name not in stored))
    have = f"only {title_of(stored[0])} is" if stored else "none is"
    missing_data.offer_estimates(
        [another],
        (
            f"Agreement takes two methods, and {have} computed for {selection.model_title}, "
            f"epoch {selection.epoch}."
        ),
        f"Compute {another.method_title} now",
    )


def pick_methods(selection: Selection, methods: list[str]) -> tuple[str, str]:
    """Draw the pickers of the two methods, the sidebar's and the exact one first."""
    left, right = st.columns(2)
    with left:
        first = picker(
            "First method", "first", sorted(methods, key=lambda name: name != selection.method)
        )
    with right:
        others = [name for name in methods if name != first]
        second = picker("Second method", "second", sorted(others, key=lambda name: name != "exact"))
    return first, second


@st.cache_data(
    max_entries=64,
    show_spinner="Comparing the groups",
    hash_funcs=cache.MEASURED | {Selection: cache.policy_of},
)
def compare_groups(selection: Selection, tables: Pair) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return sigma of every group by two methods, and the agreement by partition."""
    first, second = (table.rows for table in tables)
    names = partition_names(first)
    return (
        analyses.paired_sigmas(first, second, names, policy=selection.policy),
        analyses.agreement_by_partition(first, second, names, policy=selection.policy),
    )


def draw_verdict(agreement: pd.DataFrame, pairs: pd.DataFrame, first: str, second: str) -> None:
    """Say how often the signs agree, and how far the distances differ."""
    total, compared = agreement.iloc[-1], analyses.compare_distances(pairs)
    verdict = (
        f"Sigma has the same sign in {total['n_same']:,} of {total['n']:,} groups"
        f"{format_interval(total['low'], total['high'], '.0%')}; image by image, {second} gives "
        f"{compared.ratio:.3g} times the distance of {first}"
        f"{format_interval(compared.ratio_low, compared.ratio_high, '.3g')}, the median of "
        f"{compared.n:,}."
    )
    st.markdown(f"#### {escape_markdown(verdict)}")


def draw_images(pairs: pd.DataFrame, first: str, second: str) -> None:
    """Draw the scatter of distances with its summary, and the images that differ most."""
    left, right = st.columns([3, 2])
    with left:
        draw_scatter(pairs, first, second)
    with right:
        draw_summary(pairs, first, second)
        st.markdown("**Where they differ most**")
        for row in analyses.farthest_apart(pairs, N_IMAGES).itertuples():
            link_to_image(
                row.sample_id,
                f"{row.sample_id} ({row.group}): {row.first:.3g} and {row.second:.3g}",
            )


def draw_scatter(pairs: pd.DataFrame, first: str, second: str) -> None:
    """Draw each image's distance by both methods."""
    logarithmic = st.toggle("Logarithmic axes", key="log", bind="query-params")
    drawn = thinned(pairs, MOST_POINTS)
    charts.draw(
        distance_scatter(drawn, first, second, logarithmic=logarithmic),
        "distances",
        table=pairs,
        alt=(
            f"Each image's distance by {first} and by {second}; on the dashed line both are equal."
        ),
    )
    said = (
        f"{len(drawn):,} of {len(pairs):,} images drawn, at random"
        if len(drawn) < len(pairs)
        else f"{len(pairs):,} images"
    )
    n_zero = int((drawn[["first", "second"]] == 0).any(axis=1).sum())
    if logarithmic and n_zero:
        said += f"; {n_zero:,} of them, with a distance of 0, cannot be shown on these axes"
    st.caption(
        f"{said}. Below the dashed line {escape_markdown(second)} is lower. Click a group in "
        "the legend to see it alone."
    )


def draw_summary(pairs: pd.DataFrame, first: str, second: str) -> None:
    """Draw the table that compares the distances of the same images."""
    compared = analyses.compare_distances(pairs)
    lines = (
        (
            f"median of {second} / {first}",
            f"{compared.ratio:.3g}",
            format_interval(compared.ratio_low, compared.ratio_high, ".3g"),
        ),
        (
            f"{second} is lower",
            f"{compared.lower:.0%}",
            format_interval(compared.lower_low, compared.lower_high, ".0%"),
        ),
        (
            "rank correlation",
            f"{compared.rank_correlation:.2f}",
            format_interval(compared.rank_low, compared.rank_high, ".2f"),
        ),
    )
    rows = [
        f"| {escape_markdown(what)} | **{value}** | {interval or 'too few'} |"
        for what, value, interval in lines
    ]
    equal = f"| equal to 0.01% | **{compared.n_equal / compared.n:.0%}** | |"
    heading = [f"| n = {compared.n:,} images | | 95% interval |", "|---|---|---|"]
    st.markdown("\n".join([*heading, *rows, equal]))
    st.caption(
        "Intervals over test images: of the median by order statistics, of the share "
        "Clopper-Pearson, of Spearman's correlation by Fisher's z."
    )


def link_to_image(sample: str, label: str) -> None:
    """Draw a link to one image on the page of images, with the selection as it is."""
    st.page_link(
        navigation.page("Images"),
        label=escape_markdown(label),
        query_params={"view": ONE, "sample": sample},
    )


def draw_groups(sigmas: pd.DataFrame, agreement: pd.DataFrame, first: str, second: str) -> None:
    """Draw the table of signs, and sigma of every group by both methods."""
    st.subheader("Do they name the same groups?", anchor=False)
    left, right = st.columns([2, 1])
    with left:
        charts.draw_agreement(
            agreement,
            "partition",
            counted="Groups; a partition into two counts once",
            mean_difference=st.column_config.NumberColumn(
                "mean difference",
                format="%+.2f",
                help=f"Mean of sigma by {first} minus sigma by {second}",
            ),
        )
        differ = sigmas[sigmas["sigma_first"] * sigmas["sigma_second"] < 0]
        if differ.empty:
            st.caption("No group has another sign of sigma by one method than by the other.")
        else:
            st.markdown("**Groups whose sign differs**")
            st.dataframe(
                differ[["partition", "group", "n", "sigma_first", "sigma_second"]],
                hide_index=True,
                height="content",
                column_config={
                    "sigma_first": st.column_config.NumberColumn(first, format="%+.3f"),
                    "sigma_second": st.column_config.NumberColumn(second, format="%+.3f"),
                },
            )
        st.caption(
            "Sigma of every group by each method, over the images that have both (Table 1 of "
            "the paper). A sign near 0 flips easily: see the interval of sigma on Curves."
        )
    with right:
        charts.draw(
            agreement_scatter(sigmas, first, second, colors="partition"),
            "sigmas",
            table=sigmas,
            alt=(
                f"Sigma of each group by {first} and by {second}; in the shaded "
                "quarters the signs agree."
            ),
        )


def draw_certificates(selection: Selection, methods: list[str]) -> None:
    """Draw certificates of g beside attacks on f and, where they are computed, on g."""
    st.subheader("Certificate and attack of the same image", anchor=False)
    resolved = {name: resolve_method(name) for name in methods}
    certificates = [name for name, (method, _) in resolved.items() if method.bound == "lower"]
    attack = rb.stored_distances(selection.run, selection.epoch, BEST)
    if not certificates or attack is None:
        st.info(
            "This needs a certificate (smoothing) and an attack on the same images. Pick the one "
            "that is missing in the sidebar, or on Compute."
        )
        return
    certificate = certificates[0]
    if len(certificates) > 1:
        certificate = picker("Certificate", "certificate", certificates)
    noise = resolved[certificate][1]["noise"]
    attacks_on_g = [
        name
        for name, (method, values) in resolved.items()
        if method.smoothed and method.bound == "upper" and values["noise"] == noise
    ]
    radii = rb.stored_distances(selection.run, selection.epoch, certificate)
    attack_on_g = attacks_on_g[0] if attacks_on_g else None
    of_g = None
    if attack_on_g is not None:
        of_g = rb.stored_distances(selection.run, selection.epoch, attack_on_g).rows
    joined = analyses.certificates_and_attacks(radii.rows, attack.rows, of_g)
    if joined.empty:
        st.info("No image has both a certificate and an attack.")
        return
    n_inside = int((joined["upper_f"] < joined["radius"]).sum())
    verdict = (
        f"For {n_inside:,} of {len(joined):,} images an attack on f ends within the radius "
        "certified for g."
    )
    st.markdown(f"**{escape_markdown(verdict)}**")
    has_upper_g = joined["upper_g"].notna()
    among = joined[has_upper_g] if has_upper_g.any() else joined
    drawn = evenly(among)
    charts.draw(
        certificate_segments(drawn),
        "certificates",
        table=joined,
        alt=(
            "For some images the radius certified for g, and the distances at which attacks on f "
            "and on g were found."
        ),
    )
    of_both = " with an attack on g" if len(among) < len(joined) else ""
    st.caption(
        escape_markdown(
            f"{len(drawn):,} of {len(among):,} images{of_both} are drawn, from the nearest to the "
            f"farthest. The certificate ({certificate}) concerns g, the classifier that takes a "
            "vote of the network f over many noisy copies; the attack concerns f itself. They are "
            "two classifiers, so radius and attack do not bracket one number, and an attack inside "
            "the radius is no contradiction (section 8.3). "
            f"{explain_attack_on_g(joined, attack_on_g)}"
        )
    )


def explain_attack_on_g(joined: pd.DataFrame, attack_on_g: str | None) -> str:
    """Say what an attack on g adds, and in how many images it contradicts the certificate."""
    if attack_on_g is None:
        return "smoothing_attack would give an upper bound of g, and so a bracket."
    n_both = int(joined["upper_g"].notna().sum())
    n_cross = int((joined["upper_g"] < joined["radius"]).sum())
    return (
        f"A full line joins the radius with an attack on g ({attack_on_g}): both concern g, and "
        f"bracket its distance with their stated confidence, for {n_both:,} images; in "
        f"{n_cross:,} of them they cross."
    )


render(current())
