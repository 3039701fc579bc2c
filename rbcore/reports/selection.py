"""One selection as a page that stands alone: what is shown, how sure it is, and all that is needed to get it again."""

from pathlib import Path

import numpy as np
import pandas as pd

from rbcore import inference, sampling, wording
from rbcore.charts import bias_intervals, robustness_curves
from rbcore.datasets import DATASETS
from rbcore.distances.best import BEST, note_of, title_of
from rbcore.distances.statuses import statuses_in_words
from rbcore.distances.stored import stored_distances
from rbcore.errors import MethodError
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.partitions import group_labels
from rbcore.reports.page import Figure, Section, csv_inside, page_text
from rbcore.runs.checkpoints import Run
from rbcore.runs.command_lines import command, estimate_command, method_words
from rbcore.store import Facts, StoredTable, write_text

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


def html(
    run: Run, epoch: str | int, method: str, by: str, *, policy: Policy = DEFAULT_POLICY
) -> str:
    """Return the report of one run's epoch, method and partition as an HTML page without any outside link.

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
        raise MethodError(
            f"No {method} distances are stored for epoch {number} of run {run.name}, so there is "
            "nothing to report. Compute them: "
            f"{_estimate(run, number, 'minimal' if method == BEST else method)}"
        )
    spec, rows = DATASETS[run.dataset], stored.rows
    bias = inference.robustness_bias(rows, by, policy=policy)
    n_test = int(run.facts["n_test"])
    counted = (
        f"all {n_test:,} test images"
        if len(rows) == n_test
        else f"{len(rows):,} of {n_test:,} test images"
    )
    lacks_images = len(wording.too_few_but_lower(bias)) > 0
    lead = (
        wording.verdict(bias),
        (
            f"{spec.title}, by {by}; {run.model}, run {run.name}, epoch {number} of "
            f"{run.n_epochs}; {title_of(method)}; n = {counted}."
        ),
        f"Any difference between the groups: {wording.p_in_words(bias['p_global'].iloc[0])}.",
        *filter(None, [sampling.in_words(rows, group_labels(rows, by))]),
        spec.caution,
    )
    sections = (
        _curves(rows, by, policy, bias),
        _bias(bias),
        _outcomes(rows, method),
        _definitions(policy),
        _provenance(run, number, stored),
        _commands(
            run,
            number,
            method,
            by,
            policy,
            is_whole=len(rows) == n_test,
            lacks_images=lacks_images,
            stored=stored,
        ),
    )
    return page_text(f"Robustness bias: {spec.title} by {by}", lead, sections, csv_inside)


def write(
    path: Path, run: Run, epoch: str | int, method: str, by: str, *, policy: Policy = DEFAULT_POLICY
) -> Path:
    """Write what `html` returns to a file and return its path.

    Raises `StoreError` where it cannot be written.
    """
    write_text(path, html(run, epoch, method, by, policy=policy))
    return path


def _curves(rows: pd.DataFrame, by: str, policy: Policy, bias: pd.DataFrame) -> Section:
    least = wording.least_robust(bias)
    highlight = None if least is None else str(least["group"])
    whose = f"the band, of {highlight}," if highlight else "the bands"
    caption = (
        "I_P(tau) of each group: the share of its images that are classified correctly and "
        "farther than tau (L2, pixels in [0, 1]) from the decision boundary. Lower is less "
        f"robust. 95%, pointwise (Clopper-Pearson): {whose} at any one tau."
    )
    figure = Figure(robustness_curves(rows, by, policy=policy, highlight=highlight), caption)
    return Section("curves", "Robustness curves", figures=(figure,))


def _bias(bias: pd.DataFrame) -> Section:
    text = (
        "sigma = (area under the group's curve - that of the rest) / that of the rest: below 0 is "
        "less robust than the rest. The 95% interval is a symmetric bootstrap-t over test images, "
        f"{inference.N_RESAMPLES:,} times drawn anew; p_holm is of a studentized permutation "
        f"test, {inference.N_PERMUTATIONS:,} deals, after Holm's correction over the groups. Both "
        "are for this one trained model: training again with another seed may move sigma more.",
    )
    table = bias[list(SHOWN)].assign(verdict=wording.verdicts(bias))
    figure = Figure(
        bias_intervals(bias),
        "sigma of each group with its 95% interval; left of 0 is less robust than the rest.",
    )
    return Section("sigma", "Bias of each group", text, table=table, figures=(figure,))


def _outcomes(rows: pd.DataFrame, method: str) -> Section:
    return Section(
        "outcomes", "What the method found", (statuses_in_words(rows, method), note_of(method))
    )


def _definitions(policy: Policy) -> Section:
    answers = [getattr(policy, name) for name in DEFINITIONS]
    table = pd.DataFrame(
        {
            "definition": list(DEFINITIONS),
            "chosen": ["none" if answer is None else str(answer) for answer in answers],
            "meaning": list(DEFINITIONS.values()),
        }
    )
    return Section(
        "definitions",
        "Definitions used",
        ("What the paper leaves open, as it was answered here.",),
        table=table,
    )


def _provenance(run: Run, epoch: int, stored: StoredTable) -> Section:
    sidecar = run.sidecar(epoch)
    named = (
        "dataset",
        "size",
        "seed",
        "model",
        "run",
        "epoch",
        "n_epochs",
        "n_train",
        "n_test",
        "test_accuracy",
        "created",
    )
    facts: Facts = {name: sidecar[name] for name in named if name in sidecar}
    facts |= {
        f"training: {name}": value for name, value in _flat(sidecar.get("recipe", {})).items()
    }
    facts |= {
        f"training: {name}": sidecar[name]
        for name in ("validation", "weights", "torch", "device")
        if name in sidecar
    }
    facts |= {
        f"mitigation: {name}": value
        for name, value in _flat(run.mitigation or {"kind": None}).items()
    }
    facts |= {f"distances: {name}": value for name, value in _flat(stored.key_facts).items()}
    facts |= {f"computed: {name}": value for name, value in _flat(stored.provenance).items()}
    facts["computed: rows as text"] = stored.checksum
    facts |= {
        f"this page: {name}": module.__version__ for name, module in (("numpy", np), ("pandas", pd))
    }
    table = pd.DataFrame(
        {"fact": list(facts), "value": [_spelled(value) for value in facts.values()]}
    )
    return Section("provenance", "Where these numbers come from", table=table)


def _flat(facts: Facts, above: str = "") -> Facts:
    """Return nested facts as one level, the names joined by dots."""
    flat: Facts = {}
    for name, value in facts.items():
        entries = value if isinstance(value, list) else [value]
        for index, entry in enumerate(entries):
            which = f"{above}{name}" + (f".{index + 1}" if len(entries) > 1 else "")
            flat |= _flat(entry, f"{which}.") if isinstance(entry, dict) else {which: entry}
    return flat


def _spelled(value: object) -> str:
    text = "none" if value is None else str(value)
    return f"sha256:{text}" if len(text) == 64 and set(text) <= set("0123456789abcdef") else text


def _commands(
    run: Run,
    epoch: int,
    method: str,
    by: str,
    policy: Policy,
    *,
    is_whole: bool,
    lacks_images: bool,
    stored: StoredTable,
) -> Section:
    methods = [method] if method != BEST else sorted(stored.key_facts["of"])
    lines = [
        _train(run),
        *(_estimate(run, epoch, name) for name in methods),
        _measure(run, epoch, method, by, policy),
    ]
    text = [
        "These commands give the numbers again, from the same files of the dataset; where they "
        "are kept already, at once."
    ]
    if run.facts.get("recipe", {}).get("name") == "imported":
        text.append("FILE stands for the file of weights that was imported; its SHA-256 is above.")
    if not is_whole:
        text.append(
            "The distances cover a part of the test images only; the second command "
            "computes all of them."
        )
        if lacks_images and method != BEST:
            text.append("The last command measures more images of the groups with too few.")
            lines.append(_estimate(run, epoch, method, at_least=sampling.USUAL_AT_LEAST, by=by))
    return Section("commands", "How to get them again", tuple(text), code=tuple(lines))


def _train(run: Run) -> str:
    facts, where = run.facts, (run.dataset, run.model)
    recipe = facts.get("recipe", {})
    if recipe.get("name") == "imported":
        channels = {
            name: ",".join(f"{value:.9g}" for value in facts[name]) for name in ("mean", "std")
        }
        return command(
            "import",
            *where,
            "FILE",
            **channels,
            size=facts["size"],
            seed=facts["seed"],
            run=run.name,
        )
    weights = facts.get("weights", "none")
    return command(
        "train",
        *where,
        recipe=recipe.get("name"),
        epochs=run.n_epochs,
        size=facts["size"],
        seed=facts["seed"],
        run=run.name,
        weights=None if weights == "none" else weights,
        validation=facts["validation"] or None,
        **(_mitigation_options(run.mitigation) if run.mitigation else {}),
    )


def _mitigation_options(facts: Facts) -> dict[str, str | int | float]:
    """Return the options of ``train`` for a mitigation as a sidecar holds it."""
    if facts["kind"] == "adversarial":
        return {"adversarial": facts["epsilon"], "pgd_steps": facts["steps"]}
    whom = facts["by"] if facts["group"] is None else f"{facts['by']}={facts['group']}"
    which = "regularize" if facts["kind"] == "regularizer" else "reweight"
    names = ("alpha", "tau", "temperature", "form", "over", "clip", "share")
    return {which: whom} | {name: facts[name] for name in names if facts.get(name) is not None}


def _estimate(
    run: Run, epoch: int, method: str, *, at_least: int | None = None, by: str | None = None
) -> str:
    return estimate_command(
        run.dataset, run.model, method, epoch=epoch, run=run.name, at_least=at_least, by=by
    )


def _measure(run: Run, epoch: int, method: str, by: str, policy: Policy) -> str:
    name, settings = method_words(method)
    answers = {option: getattr(policy, option) for option in DEFINITIONS}
    differing = {
        option: value
        for option, value in answers.items()
        if value != getattr(DEFAULT_POLICY, option)
    }
    return command(
        "bias",
        run.dataset,
        run.model,
        name,
        set=settings,
        by=by,
        epoch=epoch,
        run=run.name,
        **differing,
    )
