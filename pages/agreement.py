"""Agreement: do two methods tell the same story, image by image and group by group, and where do they not."""

from dataclasses import replace

import pandas as pd
import streamlit as st

import rbcore as rb
from pages.shell import cards, definitions, menu, missing_data, results, selection, show
from pages.shell.text import plain
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


@st.cache_data(max_entries=64, show_spinner="Comparing the groups")
def compared_groups(
    first: str,
    second: str,
    policy_text: str,
    _first: StoredTable,
    _second: StoredTable,
    _policy: rb.Policy,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return sigma of every group by two methods, and the agreement by partition, kept by the checksums of both tables."""
    names = partition_names(_first.rows)
    return (
        analyses.paired_sigmas(_first.rows, _second.rows, names, policy=_policy),
        analyses.agreement_by_partition(_first.rows, _second.rows, names, policy=_policy),
    )


def offer_another(stored: list[str]) -> None:
    """Say that two methods are needed, and offer or follow the job that computes another."""
    item = replace(chosen, method=next(name for name in NEXT_METHODS if name not in stored))
    have = f"only {title_of(stored[0])} is" if stored else "none is"
    missing_data.offer_estimates(
        [item],
        (
            f"Agreement takes two methods, and {have} computed for {chosen.model_title}, "
            f"epoch {chosen.epoch}."
        ),
        f"Compute {title_of(item.method)} now",
    )


def image_link(sample: str, label: str) -> None:
    """Draw a link to one image on the page of images, with the selection as it is."""
    st.page_link(
        menu.page("Images"), label=plain(label), query_params={"view": cards.ONE, "sample": sample}
    )


def interval(low: float, high: float, form: str) -> str:
    """Return an interval in brackets; nothing where there is none."""
    return "" if pd.isna(low) or pd.isna(high) else f" [{low:{form}}, {high:{form}}]"


def show_images(pairs: pd.DataFrame) -> None:
    """Draw the scatter of distances with its summary, and the images that differ most."""
    compared = analyses.compare_distances(pairs)
    left, right = st.columns([3, 2])
    with left:
        logarithmic = st.toggle("Logarithmic axes", key="log", bind="query-params")
        drawn = thinned(pairs, MOST_POINTS)
        show.chart(
            distance_scatter(drawn, first, second, logarithmic=logarithmic),
            "distances",
            table=pairs,
            alt=(
                f"Each image's distance by {first} and by {second}; on the dashed "
                "line both are equal."
            ),
        )
        said = (
            f"{len(drawn):,} of {len(pairs):,} images drawn, at random"
            if len(drawn) < len(pairs)
            else f"{len(pairs):,} images"
        )
        n_zero = int((drawn[["first", "second"]] == 0).any(axis=1).sum())
        left_out = (
            f"; {n_zero:,} of them with a distance of 0 have no place on these axes"
            if logarithmic and n_zero
            else ""
        )
        st.caption(
            f"{said}{left_out}. Below the dashed line {plain(second)} is lower. Click a group in "
            "the legend to see it alone."
        )
    with right:
        lines = (
            (
                f"median of {second} / {first}",
                f"{compared.ratio:.3g}",
                compared.ratio_low,
                compared.ratio_high,
                ".3g",
            ),
            (
                f"{second} is lower",
                f"{compared.lower:.0%}",
                compared.lower_low,
                compared.lower_high,
                ".0%",
            ),
            (
                "rank correlation",
                f"{compared.rank_correlation:.2f}",
                compared.rank_low,
                compared.rank_high,
                ".2f",
            ),
        )
        st.markdown(
            "\n".join(
                [
                    f"| n = {compared.n:,} images | | 95% interval |",
                    "|---|---|---|",
                    *(
                        f"| {plain(what)} | **{value}** | {interval(*ends) or 'too few'} |"
                        for what, value, *ends in lines
                    ),
                    f"| equal to 0.01% | **{compared.n_equal / compared.n:.0%}** | |",
                ]
            )
        )
        st.caption(
            "Intervals over test images: of the median by order statistics, of the share "
            "Clopper-Pearson, of Spearman's correlation by Fisher's z."
        )
        st.markdown("**Where they differ most**")
        for row in analyses.farthest_apart(pairs, N_IMAGES).itertuples():
            image_link(
                row.sample_id,
                f"{row.sample_id} ({row.group}): {row.first:.3g} and {row.second:.3g}",
            )


def show_groups(sigmas: pd.DataFrame, agreement: pd.DataFrame) -> None:
    """Draw the table of signs, and sigma of every group by both methods."""
    st.subheader("Do they name the same groups?", anchor=False)
    left, right = st.columns([2, 1])
    with left:
        show.signs(
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
            "Sigma of every group by each method, over the images that both hold (Table 1 of the "
            "paper). A sign near 0 flips easily: see the interval of sigma on Curves."
        )
    with right:
        show.chart(
            agreement_scatter(sigmas, first, second, colors="partition"),
            "sigmas",
            table=sigmas,
            alt=(
                f"Sigma of each group by {first} and by {second}; in the shaded "
                "quarters the signs agree."
            ),
        )


def show_certificates(stored: list[str]) -> None:
    """Draw certificates of g beside attacks on f and, where they are computed, on g."""
    st.subheader("Certificate and attack of the same image", anchor=False)
    methods = {name: resolve_method(name) for name in stored}
    certificates = [name for name, (method, _) in methods.items() if method.bound == "lower"]
    attack = rb.stored_distances(chosen.run, chosen.epoch, BEST)
    if not certificates or attack is None:
        st.info(
            "For this picture it takes a certificate (smoothing) and an attack on the same "
            "images. Pick the one that is missing in the sidebar, or on Compute."
        )
        return
    certificate = certificates[0]
    if len(certificates) > 1:
        certificate = selection.picker("Certificate", "certificate", certificates)
    noise = methods[certificate][1]["noise"]
    same_g = [
        name
        for name, (method, values) in methods.items()
        if method.smoothed and method.bound == "upper" and values["noise"] == noise
    ]
    radii = rb.stored_distances(chosen.run, chosen.epoch, certificate)
    of_g = rb.stored_distances(chosen.run, chosen.epoch, same_g[0]) if same_g else None
    joined = analyses.certificates_and_attacks(
        radii.rows, attack.rows, None if of_g is None else of_g.rows
    )
    if joined.empty:
        st.info("No image has both a certificate and an attack.")
        return
    n_inside = int((joined["upper_f"] < joined["radius"]).sum())
    st.markdown(
        plain(
            f"For {n_inside:,} of {len(joined):,} images an attack on f ends within the "
            "radius certified for g."
        ).join(("**", "**"))
    )
    among = joined[joined["upper_g"].notna()] if joined["upper_g"].notna().any() else joined
    of_both = " with an attack on g" if len(among) < len(joined) else ""
    drawn = evenly(among)
    show.chart(
        certificate_segments(drawn),
        "certificates",
        table=joined,
        alt=(
            "For some images the radius certified for g, and the distances at which attacks on f "
            "and on g were found."
        ),
    )
    words = (
        f"{len(drawn):,} of {len(among):,} images{of_both} are drawn, from the nearest to the "
        f"farthest. The certificate ({certificate}) speaks of g, the classifier that asks the "
        "network f about many noisy copies; the attack speaks of f itself. They are two "
        "classifiers, so radius and attack do not bracket one number, and an attack inside the "
        "radius is no contradiction (section 8.3)."
    )
    if of_g is not None:
        n_both = int(joined["upper_g"].notna().sum())
        n_cross = int((joined["upper_g"] < joined["radius"]).sum())
        words += (
            f" A full line joins the radius with an attack on g ({same_g[0]}): both speak of g, "
            f"and bracket its distance with their stated confidence, for {n_both:,} images; in "
            f"{n_cross:,} of them they cross."
        )
    else:
        words += " smoothing_attack would give an upper bound of g, and so a bracket."
    st.caption(plain(words))


chosen = selection.current()
st.title("Do the methods agree?", anchor=False)
st.caption(
    plain(f"{chosen.spec.title} · by {chosen.partition_title} · {chosen.model_title}")
    + (f" · epoch {chosen.epoch} of {chosen.run.n_epochs}" if chosen.run else "")
)
if chosen.run is None:
    missing_data.say_untrained(chosen.model, chosen)
    st.stop()
names = rb.stored_methods(chosen.run, chosen.epoch)
if len(names) < 2:
    offer_another(names)
    st.stop()
left, right = st.columns(2)
with left:
    first = selection.picker(
        "First method", "first", sorted(names, key=lambda name: name != chosen.method)
    )
with right:
    others = [name for name in names if name != first]
    second = selection.picker(
        "Second method", "second", sorted(others, key=lambda name: name != "exact")
    )
policy = definitions.pick()
tables = [rb.stored_distances(chosen.run, chosen.epoch, name) for name in (first, second)]
pairs = analyses.paired_distances(tables[0].rows, tables[1].rows, chosen.by)
if pairs.empty:
    st.info("No image has a distance by both methods.")
    st.stop()
sigmas, agreement = compared_groups(
    tables[0].checksum, tables[1].checksum, repr(policy), *tables, policy
)
compared = analyses.compare_distances(pairs)
total = agreement.iloc[-1]
st.markdown(
    "#### "
    + plain(
        f"Sigma has the same sign in {total['n_same']:,} of {total['n']:,} "
        f"groups{interval(total['low'], total['high'], '.0%')}; image by image, "
        f"{second} gives {compared.ratio:.3g} times the distance of {first}"
        f"{interval(compared.ratio_low, compared.ratio_high, '.3g')}, the median "
        f"of {compared.n:,}."
    )
)
for name, table in zip((first, second), tables, strict=True):
    st.caption(plain(f"{title_of(name)}: {note_of(name)}"))
    results.warn_of_fallbacks(table.rows, name)
show_images(pairs)
show_groups(sigmas, agreement)
show_certificates(names)
st.caption(chosen.spec.caution)
