"""The open questions of the definition, as the sidebar and the page Method state them."""

from dataclasses import dataclass

from rbcore.measures import LARGEST_FAILED_SHARE


@dataclass(frozen=True)
class Question:
    """One choice of a `rbcore.Policy`.

    Attributes
    ----------
    name
        The attribute of the policy.
    label
        Of its picker.
    text
        The question in full.
    answers
        What each choice means, by its name.
    """

    name: str
    label: str
    text: str
    answers: dict[str, str]

    @property
    def help(self) -> str:
        """All answers in a line."""
        return " ".join(f"{answer}: {meaning}." for answer, meaning in self.answers.items())


QUESTIONS = (
    Question(
        "misclassified",
        "Misclassified images",
        "How do misclassified images count?",
        {
            "zero": "they stay in their group with distance 0 (eq. 4-6)",
            "exclude": "they are left out (eq. 1-2, and the paper's released code)",
        },
    ),
    Question(
        "rest",
        "Compared with",
        "What is a group compared with?",
        {
            "pooled": "with all images outside the group (the paper's text and code)",
            "mean": "with the mean of the other groups' curves (caption of fig. 4)",
            "sum": "with the sum of the other groups' curves (eq. 3, literally)",
        },
    ),
    Question(
        "failed",
        "Images without a distance",
        "How do images without a distance count?",
        {
            "exclude": (
                "they are left out and counted; sigma is bounded as if they had counted worst and "
                "best"
            ),
            "raise": f"more than {LARGEST_FAILED_SHARE:.0%} of a group is an error",
        },
    ),
    Question(
        "correct_by",
        "Correct according to",
        "Which classifier decides what is correct?",
        {
            "own": (
                "the classifier that the distances are of: for certificates the smoothed "
                "classifier g, else the network f"
            ),
            "network": "the network f, whatever the distances are of",
        },
    ),
)
