from pages.shell.definitions import QUESTIONS
from rbcore.distances import METHODS
from rbcore.measures import CHOICES
from tests.pages.app import open_page, said


def test_every_choice_of_a_policy_is_stated_once():
    assert {question.name: tuple(question.answers) for question in QUESTIONS} == CHOICES


def test_every_choice_is_there_and_the_one_in_force_is_marked():
    app = open_page("method", rest="mean")
    (table,) = [text for text in said(app.markdown) if text.startswith("| question")]
    for answers in CHOICES.values():
        for answer in answers:
            assert f"| {answer} |" in table or f"| **{answer}** (chosen) |" in table
    assert (
        "| **mean** (chosen) |" in table
        and "| **zero** (chosen) |" in table
        and table.count("(chosen)") == len(CHOICES)
    )


def test_every_method_is_there_with_what_it_bounds():
    (table,) = [text for text in said(open_page("method").markdown) if text.startswith("| method")]
    for name in METHODS:
        assert f"(`{name}`)" in table
    assert table.count("lower bound") == sum(method.bound == "lower" for method in METHODS.values())


def test_the_limit_of_tau_is_said_and_the_paper_can_be_cited():
    app = open_page("method", tau_max="0.5")
    assert not app.exception and any("tau = 0.5 (L2)" in text for text in said(app.markdown))
    assert "10.1145/3442188.3445910" in app.code[0].value and len(app.latex) == 4
