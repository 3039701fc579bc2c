"""One selection as a self-contained page: the verdict, its confidence, how to reproduce it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from rbcore import inference, sampling, wording
from rbcore.analyses.seeds import bias_over_seeds
from rbcore.charts import bias_intervals, robustness_curves
from rbcore.datasets import DATASETS
from rbcore.distances.best import BEST, note_of, title_of
from rbcore.distances.stored import stored_distances
from rbcore.errors import MeasureError, MethodError
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.partitions import group_labels
from rbcore.reports.page import HASH, Figure, Section, csv_inside, page_text
from rbcore.runs.checkpoints import Run
from rbcore.runs.command_lines import bias_command, estimate_command, train_command
from rbcore.sampling import Rows
from rbcore.store import BestKey, StoredTable, write_text

DEFINITIONS = {
    "misclassified": (
        "What becomes of a misclassified image. zero: it stays in its group with distance 0. "
        "exclude: it is left out."
    ),
    "rest": (
        "What a group is compared with. pooled: all images outside it. mean, sum: of the "
        "other groups' curves."
    ),
    "tau_max": "Upper limit of the area under I_P(tau), L2; none: the whole area.",
    "failed": (
        "What becomes of an image without a distance. exclude: it leaves the measure. raise: more "
        "than 1% of a group is an error."
    ),
    "correct_by": (
        "Whose class must be the label. own: that of the classifier the distances are "
        "of, for certificates the smoothed one. network: that of the network, whatever "
        "the distances are of."
    ),
}
SHOWN = ("group", "n", "n_counted", "accuracy", "auc", "sigma", "low", "high", "p_holm")
OF_RUN = (
    *("dataset", "size", "seed", "model", "run", "epoch", "n_epochs", "n_train", "n_test"),
    *("test_accuracy", "created"),
)
OF_TRAINING = ("validation", "weights", "torch", "device")


@dataclass(frozen=True)
class Selected:
    """What is reported: the stored distances of one run's epoch and method, by one partition."""

    run: Run
    epoch: int
    method: str
    by: str
    policy: Policy
    stored: StoredTable

    @property
    def rows(self) -> pd.DataFrame:
        """The table of distances."""
        return self.stored.rows

    @property
    def is_whole(self) -> bool:
        """Whether all test images are measured."""
        return len(self.rows) == int(self.run.facts.n_test)

    @cached_property
    def bias(self) -> pd.DataFrame:
        """The table of `rbcore.robustness_bias`."""
        return inference.robustness_bias(self.rows, self.by, policy=self.policy)


def html(
    run: Run, epoch: str | int, method: str, by: str, *, policy: Policy = DEFAULT_POLICY
) -> str:
    """Return the report of a run's epoch, method and partition as HTML without outside links.

    Parameters
    ----------
    run, epoch, method
        As `rbcore.stored_distances`; nothing is computed but the measures.
    by, policy
        As `rbcore.robustness_bias`.

    Raises
    ------
    MethodError
        If the store holds no such distances.
    """
    number = run.epoch(epoch)
    stored = stored_distances(run, number, method)
    if stored is None:
        needed = "minimal" if method == BEST else method
        raise MethodError(
            f"No {method} distances are stored for epoch {number} of run {run.name}, so there is "
            "nothing to report. Compute them: "
            + estimate_command(run.dataset, run.model, needed, epoch=number, run=run.name)
        )
    chosen = Selected(run, number, method, by, policy, stored)
    sections = (
        _curves(chosen),
        _bias(chosen),
        _other_definitions(chosen),
        _accuracy_and_distance(chosen),
        _other_seeds(chosen),
        _outcomes(chosen),
        _definitions(policy),
        _provenance(chosen),
        _commands(chosen),
    )
    title = f"Robustness bias: {DATASETS[run.dataset].title} by {by}"
    return page_text(title, _lead(chosen), sections, csv_inside)


def write(
    path: Path, run: Run, epoch: str | int, method: str, by: str, *, policy: Policy = DEFAULT_POLICY
) -> Path:
    """Write what `html` returns to a file and return its path.

    Raises `StoreError` where it cannot be written.
    """
    write_text(path, html(run, epoch, method, by, policy=policy))
    return path


def _lead(chosen: Selected) -> list[str]:
    run, bias = chosen.run, chosen.bias
    spec, n, n_test = DATASETS[run.dataset], len(chosen.rows), run.facts.n_test
    covered = f"all {n:,}" if chosen.is_whole else f"{n:,} of {n_test:,}"
    drawn = sampling.in_words(chosen.rows, group_labels(chosen.rows, chosen.by))
    return [
        wording.verdict(bias),
        (
            f"{spec.title}, by {chosen.by}; {run.model}, run {run.name}, epoch {chosen.epoch} of "
            f"{run.n_epochs}; {title_of(chosen.method)}; n = {covered} test images."
        ),
        f"Any difference between the groups: {wording.p_in_words(bias['p_global'].iloc[0])}.",
        *([drawn] if drawn else []),
        spec.caution,
    ]


def _curves(chosen: Selected) -> Section:
    least = wording.least_robust(chosen.bias)
    highlight = None if least is None else str(least["group"])
    whose = f"the band, of {highlight}," if highlight else "the bands"
    caption = (
        "I_P(tau) of each group: the share of its images that are classified correctly and "
        "farther than tau (L2, pixels in [0, 1]) from the decision boundary. Lower is less "
        f"robust. 95%, pointwise (Clopper-Pearson): {whose} at any one tau."
    )
    chart = robustness_curves(chosen.rows, chosen.by, policy=chosen.policy, highlight=highlight)
    return Section("curves", "Robustness curves", figures=(Figure(chart, caption),))


def _bias(chosen: Selected) -> Section:
    text = (
        "sigma = (area under the group's curve - that of the rest) / that of the rest: below 0 is "
        "less robust than the rest. The 95% interval is a symmetric bootstrap-t over test images, "
        f"{inference.N_RESAMPLES:,} times drawn anew; p_holm is of a studentized permutation "
        f"test, {inference.N_PERMUTATIONS:,} deals, after Holm's correction over the groups. Both "
        "are for this one trained model: training again with another seed may move sigma more.",
    )
    bias = chosen.bias
    table = bias[list(SHOWN)].assign(verdict=wording.verdicts(bias))
    figure = Figure(
        bias_intervals(bias),
        "sigma of each group with its 95% interval; left of 0 is less robust than the rest.",
    )
    return Section("sigma", "Bias of each group", text, table=table, figures=(figure,))


def _other_definitions(chosen: Selected) -> Section:
    text = (
        "Under how many readings of the definition sigma has a sign, and under how many of them "
        "the other one: misclassified images at distance 0 or left out; the rest pooled, a mean "
        "or a sum; tau without a limit or up to 2 or 1 (the paper's code). n_flipped_but_sum "
        "leaves out the sum, under which almost every sigma of three or more groups is negative.",
    )
    return _if_defined(
        Section("other_definitions", "Sign of sigma under other definitions", text),
        lambda: inference.sign_flips(
            inference.sigma_by_definition(chosen.rows, chosen.by, policy=chosen.policy)
        ),
    )


def _accuracy_and_distance(chosen: Selected) -> Section:
    text = (
        "The group's area over that of the rest (1 + sigma, total) is the ratio of their "
        "accuracies times the ratio of the mean distances of their correct images. Below 1 is "
        "less than the rest.",
    )

    def ratios() -> pd.DataFrame:
        parts = inference.decompose_bias(chosen.rows, chosen.by, policy=chosen.policy)
        ends = {name: np.exp(parts[name]) for name in ("low", "high")}
        parts.insert(4, "ratio", np.exp(parts["log_ratio"]))
        return parts.drop(columns="log_ratio").assign(**ends)

    title = "How much of the bias is accuracy, and how much distance"
    return _if_defined(Section("accuracy_and_distance", title, text), ratios)


def _other_seeds(chosen: Selected) -> Section:
    text = (
        "sigma of this run and of the runs that differ from it in their seed only, at the same "
        "epoch. The interval is for the mean over such trainings (Student's t over runs).",
    )
    return _if_defined(
        Section("other_seeds", "Trained again with other seeds", text),
        lambda: bias_over_seeds(
            chosen.run, chosen.epoch, chosen.method, chosen.by, policy=chosen.policy
        ),
    )


def _if_defined(section: Section, table: Callable[[], pd.DataFrame]) -> Section:
    """Return a section with its table, or with the reason why there is none."""
    try:
        return replace(section, table=table())
    except MeasureError as error:
        return replace(section, text=(*section.text, f"Not measured here: {error}"))


def _outcomes(chosen: Selected) -> Section:
    text = (wording.statuses_in_words(chosen.rows, chosen.method), note_of(chosen.method))
    return Section("outcomes", "What the method found", text)


def _definitions(policy: Policy) -> Section:
    table = pd.DataFrame(
        {
            "definition": list(DEFINITIONS),
            "chosen": [_spelled(getattr(policy, name)) for name in DEFINITIONS],
            "meaning": list(DEFINITIONS.values()),
        }
    )
    text = ("What the paper leaves open, as it was answered here.",)
    return Section("definitions", "Definitions used", text, table=table)


def _provenance(chosen: Selected) -> Section:
    stored = chosen.stored
    sidecar = chosen.run.sidecar(chosen.epoch).model_dump(mode="json", exclude_none=True)
    made = stored.provenance.model_dump(mode="json", exclude_none=True)
    facts: dict[str, object] = {name: sidecar[name] for name in OF_RUN if name in sidecar}
    training = {name: sidecar[name] for name in OF_TRAINING if name in sidecar}
    for prefix, named in (
        ("training", sidecar["recipe"] | training),
        ("mitigation", chosen.run.mitigation or {"kind": None}),
        ("distances", stored.key.model_dump(mode="json")),
        ("computed", made | {"rows as text": stored.checksum}),
        ("this page", {module.__name__: module.__version__ for module in (np, pd)}),
    ):
        facts |= {f"{prefix}: {name}": value for name, value in _flat(named).items()}
    table = pd.DataFrame({"fact": list(facts), "value": [_spelled(v) for v in facts.values()]})
    return Section("provenance", "Where these numbers come from", table=table)


def _flat(facts: Mapping[str, object], above: str = "") -> dict[str, object]:
    """Return nested facts as one level, the names joined by dots."""
    flat: dict[str, object] = {}
    for name, value in facts.items():
        entries = value if isinstance(value, list) else [value]
        for index, entry in enumerate(entries):
            which = f"{above}{name}" + (f".{index + 1}" if len(entries) > 1 else "")
            flat |= _flat(entry, f"{which}.") if isinstance(entry, dict) else {which: entry}
    return flat


def _spelled(value: object) -> str:
    text = "none" if value is None else str(value)
    return f"sha256:{text}" if HASH.fullmatch(text) else text


def _commands(chosen: Selected) -> Section:
    run, method = chosen.run, chosen.method
    key = chosen.stored.key
    methods = sorted(key.of) if isinstance(key, BestKey) else [method]
    where = (run.dataset, run.model)
    estimate = partial(estimate_command, *where, epoch=chosen.epoch, run=run.name)
    answers = {name: getattr(chosen.policy, name) for name in DEFINITIONS}
    differing = {k: v for k, v in answers.items() if v != getattr(DEFAULT_POLICY, k)}
    lines = [
        train_command(run.facts),
        *(estimate(name) for name in methods),
        bias_command(*where, method, by=chosen.by, epoch=chosen.epoch, run=run.name, **differing),
    ]
    text = [
        "These commands give the numbers again, from the same files of the dataset; where they "
        "are kept already, at once."
    ]
    if run.facts.is_imported:
        text.append("FILE stands for the file of weights that was imported; its SHA-256 is above.")
    if not chosen.is_whole:
        text.append(
            "The distances cover a part of the test images only; the second command "
            "computes all of them."
        )
    if not chosen.is_whole and method != BEST and len(wording.too_few_but_lower(chosen.bias)):
        text.append("The last command measures more images of the groups with too few.")
        enough = Rows(at_least=sampling.USUAL_AT_LEAST, by=chosen.by)
        lines.append(estimate(method, rows=enough))
    return Section("commands", "How to get them again", tuple(text), code=tuple(lines))
