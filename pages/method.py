"""Method: what is measured and with what confidence, its terms, its limits, and how to cite it."""

import streamlit as st

from pages.shell.definitions import QUESTIONS
from pages.shell.selection import current
from pages.shell.text import escape_markdown
from rbcore import inference, wording
from rbcore.distances import METHODS
from rbcore.measures import Policy

BOUNDS = {"upper": "upper bound", "lower": "lower bound", "exact": "the distance itself"}
PAPER = """@inproceedings{nanda2021fairness,
  title     = {Fairness Through Robustness: Investigating Robustness Disparity in Deep Learning},
  author    = {Nanda, Vedant and Dooley, Samuel and Singla, Sahil and Feizi, Soheil and
               Dickerson, John P.},
  booktitle = {Conference on Fairness, Accountability, and Transparency (FAccT '21)},
  year      = {2021},
  publisher = {ACM},
  doi       = {10.1145/3442188.3445910}
}"""
SOFTWARE = """@software{robustness_bias_explorer,
  title   = {Robustness bias explorer},
  author  = {{The robustness-bias explorer's authors}},
  year    = {2026},
  license = {MIT}
}"""
TERMS = {
    "f": "the network itself",
    "g": (
        "the *smoothed* classifier: the class that f predicts most often under Gaussian "
        "noise. A different classifier from f"
    ),
    "attack": (
        "finds a changed image that fools f. Its distance is an **upper bound**: the "
        "boundary of f may be closer"
    ),
    "certificate": (
        "proves that no change below its radius changes g. A **lower bound** of the "
        "distance of g, with probability 1 - alpha"
    ),
    "tau, budget": "how far an attacker may change an image, L2",
    "group, partition": "images that share a class or an attribute; all groups of one attribute",
    "the rest": "what a group is compared with, see above",
    "run, epoch": "one training of a model, and a moment in it",
    "abstained": "a certificate could not name a class with confidence; its distance is 0",
    "overruled": "g predicts another class than the true one, with confidence; its distance is 0",
    "fallback": (
        "the attack failed; the distance is that to the boundary on the way to an image "
        "of another class"
    ),
    "failed": "nothing was found; counted and shown, never dropped silently",
}
TESTS = f"""
- **Interval of sigma**, {inference.CONFIDENCE:.0%}: the test images of each group are resampled
  {inference.N_RESAMPLES:,} times; each time the change of log(AUC / AUC of the rest) is divided by
  its standard error (symmetric bootstrap-t, widened for small groups by Student's t).
- **p**: the images are assigned to groups of the same sizes {inference.N_PERMUTATIONS:,} times at
  random; p is the share of these permutations at least as far from 0 (studentized permutation test
  of sigma = 0). The smallest p is 1 / {inference.N_PERMUTATIONS + 1:,}.
- **Correction**: p after Holm over the groups of one partition. A group is called less or more
  robust only where that p is at most {wording.LEVEL:.0%}. Benjamini and Hochberg's is in the
  downloads. Intervals are not corrected.
- **Bands of curves**: at one tau Clopper-Pearson, for the whole curve Dvoretzky-Kiefer-Wolfowitz.
  Accuracy: Clopper-Pearson.
- **Two models, two epochs**: the same images are resampled on both sides, so the interval of the
  difference is paired.
- **Too few**: groups in which fewer than {inference.FEWEST} images count are not tested; below
  {inference.FEWEST_CORRECT} correct images an interval is called optimistic.
- **At one mix**: every group is re-weighted to the same mix of, say, ages, where its cells are
  large enough.
"""
LIMITS = """
- Intervals and tests are over **test images, for one trained model**. Training again with another
  seed can change sigma more.
- Attacks give upper bounds. If one works worse on one group, that group looks more robust than it
  is: compare methods.
- `exact` ignores that pixels must stay between 0 and 1, so it is a lower bound for any attack that
  respects it.
- L2 in pixels is one way to say "a little". What a person would notice is another.
- Groups differ in their mix of classes, ages and image quality. **A difference is not an
  explanation of it.**
"""
ETHICS = """
- Faces are people. Labels such as gender and race here are coarse, contested categories that others
  assigned, often from a photograph.
- Predicting age from a face is a flawed task; it is here because the paper uses it. Nothing here is
  fit to judge a person.
- Equal distances do not make a system fair, and a robust system can still be one that should not
  exist.
- What shows whom an attack reaches first helps to protect them, and could help an attacker. Report
  what you find to those who can fix it.
- Datasets have licenses, most for research only: see *Your data and model*.
"""


def render(policy: Policy) -> None:
    """Draw the whole page, one section after the other."""
    st.title("Method", anchor=False)
    st.markdown(
        "**Sigma of a group says how much larger or smaller the area under its robustness curve is "
        "than that of the rest.** Below 0 the group is less robust: its images lie closer to the "
        "model's decision boundary. Everything here follows *Fairness Through Robustness* (Nanda "
        "et al., FAccT 2021); where that can be read in several ways, you choose, and the choice "
        "is stated."
    )
    st.markdown(
        "[Definitions](#definitions) · [Open questions](#choices) · [Terms](#words) · "
        "[Intervals and tests](#tests) · [Distance methods](#methods) · [Limits](#limits) · "
        "[Ethics](#ethics) · [Citation](#citation)"
    )
    draw_definitions()
    draw_choices(policy)
    st.subheader("Terms", anchor="words")
    st.markdown(terms_table())
    st.markdown(
        "An attack concerns f and a certificate g. Side by side they do **not** bracket one "
        "number. Only an attack on g and a certificate of g do."
    )
    st.subheader("Intervals, tests, corrections", anchor="tests")
    st.markdown(TESTS)
    st.subheader("Distance methods", anchor="methods")
    st.markdown(methods_table())
    st.markdown(
        "No attack is trusted: every changed image is clipped to [0, 1] and predicted again before "
        "it counts."
    )
    st.subheader("Limits", anchor="limits")
    st.markdown(LIMITS)
    st.subheader("Ethics", anchor="ethics")
    st.markdown(ETHICS)
    st.subheader("Citation", anchor="citation")
    st.code(PAPER, language="bibtex", wrap_lines=True)
    st.code(SOFTWARE, language="bibtex", wrap_lines=True)


def draw_definitions() -> None:
    """Draw the equations of the measures."""
    st.subheader("Definitions", anchor="definitions")
    # Long equations scroll on a narrow screen.
    st.html("<style>.katex-display { overflow: auto hidden; }</style>")
    st.latex(
        r"I_P(\tau) = \frac{\#\{(x, y) \in P : d(x) > \tau,\ y = \hat y\}}{\# P} "
        r"\qquad \text{(eq. 4-6)}"
    )
    st.markdown(
        "The share of the group P that is classified correctly **and** lies farther than tau from "
        "the boundary. d is the smallest L2 change that crosses it, in pixels from 0 to 1 at the "
        "model's input size."
    )
    st.latex(
        r"\mathrm{AUC}(I_P) = \int_0^{\tau_{max}} I_P(\tau)\, d\tau = \frac{1}{\# P} "
        r"\sum_{x \in P} \min(d(x), \tau_{max})\,\mathbb{1}[y = \hat y]"
    )
    st.markdown(
        "The area under that curve. It is a mean of distances, so it is computed exactly, without "
        "a grid."
    )
    st.latex(
        r"\sigma(P) = \frac{\mathrm{AUC}(I_P) - \mathrm{AUC}(I_{rest})}{\mathrm{AUC}(I_{rest})} "
        r"\qquad \text{(eq. 3)}"
    )
    st.markdown(
        "**Sigma**, the robustness bias over all tau. -0.2: the area is a fifth smaller than that "
        "of the rest."
    )
    st.latex(
        r"RB(P, \tau) = \left|\,\Pr[d > \tau \mid x \in P,\, y = \hat y] - \Pr[d > \tau "
        r"\mid x \notin P,\, y = \hat y]\,\right|\qquad \text{(eq. 2)}"
    )
    st.markdown(
        "**RB** at one tau. It looks at correctly classified images only, whatever is chosen "
        "below, so it is not the gap between the drawn curves."
    )


def draw_choices(policy: Policy) -> None:
    """Draw the open questions of the definition, with the answers in force."""
    st.subheader("Open questions, and what is chosen now", anchor="choices")
    st.markdown(choices_table(policy))
    limit = (
        "there is none: the whole area counts"
        if policy.tau_max is None
        else f"tau = {policy.tau_max:g} (L2)"
    )
    st.markdown(
        f"**Upper limit of tau:** {limit}. Change any of these under *Definitions* in the sidebar."
    )


def choices_table(policy: Policy) -> str:
    """Return the open questions with their answers as a Markdown table; the choice is bold."""
    lines = ["| question | answer | meaning |", "|---|---|---|"]
    for question in QUESTIONS:
        text = question.text
        for answer, meaning in question.answers.items():
            is_chosen = answer == getattr(policy, question.name)
            shown = f"**{answer}** (chosen)" if is_chosen else answer
            lines.append(f"| {text} | {shown} | {meaning} |")
            text = ""
    return "\n".join(lines)


def methods_table() -> str:
    """Return the registered methods as a Markdown table."""
    lines = ["| method | its distances are | of | how |", "|---|---|---|---|"]
    for method in METHODS.values():
        of = "the smoothed classifier g" if method.smoothed else "the network f"
        only = "; linear models only" if method.only_linear else ""
        presets = f" Presets: {', '.join(method.presets)}." if method.presets else ""
        name = f"{method.title} (`{method.name}`)"
        lines.append(
            f"| {name} | {BOUNDS[method.bound]} | {of}{only} | "
            f"{escape_markdown(method.description)}.{escape_markdown(presets)} |"
        )
    return "\n".join(lines)


def terms_table() -> str:
    """Return the terms as a Markdown table."""
    lines = [f"| {term} | {meaning} |" for term, meaning in TERMS.items()]
    return "\n".join(["| term | meaning |", "|---|---|", *lines])


render(current().policy)
