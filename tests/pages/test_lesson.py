import re

import pytest

import rbcore as rb
from rbcore import analyses, inference, store, wording
from rbcore.runs.checkpoints import find_run
from tests.pages.app import button, open_page, plotted, said
from tests.records import content_of, write_sealed

STEPS = ["guess", "look", "measure", "test", "mitigate", "truth"]


def stored() -> store.StoredTable:
    return rb.stored_distances(find_run("toyfaces", "small_cnn"), "last", "deepfool")


def words(app) -> str:
    return " ".join(
        [*said(app.markdown), *said(app.caption), *said(app.subheader), *said(app.info)]
    )


@pytest.mark.slow
def test_next_leads_through_all_steps_and_nothing_is_revealed_before_the_last():
    app = open_page("lesson", dataset="digits")
    app.radio(key="guess picked").set_value("bright").run()
    seen = []
    for step in STEPS:
        assert app.button_group[0].value == step and not app.exception and not app.error
        seen.append(words(app))
        if step != "truth":
            button(app, "Next").click().run()
    assert button(app, "Next").disabled
    for early in seen[:-1]:
        assert not re.search(r"\b(planted|coin|trap)\b", early)
    for blind in seen[:2]:
        assert "sigma" not in blind and "p <" not in blind
    assert (
        "planted" in seen[-1]
        and "Your guess: **faces in bright light**. It is the faces in **dim** light." in seen[-1]
    )
    button(app, "Back").click().run()
    assert app.button_group[0].value == "mitigate"


def test_the_measure_and_the_tests_are_the_librarys():
    measured = words(open_page("lesson", step="measure"))
    for row in rb.robustness_bias(stored().rows, "lighting").itertuples():
        assert (
            f"{row.group}: sigma = {row.sigma:+.2f}** [{row.low:+.2f}, "
            f"{row.high:+.2f}], n = {row.n}"
        ) in measured
    tested = open_page("lesson", step="test")
    for by, is_shown in (("lighting", True), ("camera", False)):
        bias = rb.robustness_bias(stored().rows, by)
        assert f"**By {by}:** {rb.verdict(bias)}" in said(tested.markdown)
        assert (wording.verdicts(bias) == wording.LESS_ROBUST).any() == is_shown
    assert list(plotted(tested, 0)["group"]) == [
        "lighting: bright",
        "lighting: dim",
        "camera: A",
        "camera: B",
    ]


def test_the_truth_shows_that_the_site_is_a_matter_of_ages():
    app = open_page("lesson", step="truth", guess="dim")
    assert "Your guess: **faces in dim light**. **That is right.**" in words(app)
    mixed = analyses.raw_and_standardized(stored().rows, "site", ["class"]).set_index("group")
    school = mixed.loc["school"]
    assert f"At one mix of ages sigma is {school['standardized']:+.2f}" in words(app)
    assert school["high"] < 0 < school["standardized_high"]
    assert len(plotted(app, 0)) == 4


def test_without_a_regularized_run_the_step_says_so_with_the_command(monkeypatch):
    monkeypatch.setattr(analyses, "mitigated_runs", lambda plain: [])
    app = open_page("lesson", step="mitigate")
    assert not app.exception and "There is no such training yet" in words(app)
    assert "--regularize lighting=dim" in app.code[0].value


def test_a_regularized_run_is_compared_on_the_same_faces(cache):
    run = find_run("toyfaces", "small_cnn")
    table = rb.stored_distances(run, "last", "deepfool")
    folder = cache / "runs" / "toyfaces" / "small_cnn" / "a_b*c"
    folder.mkdir(parents=True)
    facts = {
        **content_of(run.folder / "epoch-0008.json"),
        "run": "a_b*c",
        "mitigation": {"kind": "regularizer", "by": "lighting", "group": "dim", "alpha": 7.0},
        "sha256": "0" * 64,
    }
    write_sealed(folder / "epoch-0008.json", facts)
    (folder / "epoch-0008.safetensors").touch()
    rows = table.rows.assign(
        distance=table.rows["distance"].where(table.rows["lighting"] == "bright") * 0.5
    )
    rows["distance"] = rows["distance"].fillna(table.rows["distance"])
    store.write_table(rows, table.key.model_copy(update={"weights": "0" * 64}), table.provenance)
    change = inference.compare_bias(table.rows, rows, "lighting").set_index("group").loc["dim"]
    assert change["low"] > 0
    app = open_page("lesson", step="mitigate")
    accuracy = f"{table.rows['is_correct'].mean():.1%}"
    assert (
        f"**fairness regularizer, alpha 7**: sigma of dim went from {change['sigma_first']:+.2f} "
        f"to {change['sigma_second']:+.2f} (change {change['difference']:+.2f} "
        f"[{change['low']:+.2f}, {change['high']:+.2f}], n = {change['n']}: a change is shown); "
        f"accuracy from {accuracy} to {accuracy} of 1,600 faces."
    ) in words(app)


@pytest.mark.parametrize("query", [{"step": "*nope*"}, {"step": "truth", "guess": "<script>"}])
def test_a_wrong_link_is_told_or_counts_as_no_guess(query):
    app = open_page("lesson", **query)
    assert not app.exception
    if query["step"] == "truth":
        assert "No guess was made in step 1." in words(app)
    else:
        assert any(
            "the step '*nope*'" in text and "showing 'guess'" in text for text in said(app.warning)
        )
