"""Every distance method, declared in the order in which pickers and listings show them.

A declaration names its code, which is imported when the method is first run.
"""

from rbcore.distances.base import METHODS, Method
from rbcore.measures.tables import Bound
from rbcore.parameters import Parameter
from rbcore.registry import LazyFunction

METHODS.add(
    "exact",
    Method(
        "exact",
        "Exact (linear models)",
        LazyFunction("rbcore.distances.exact:run"),
        bound=Bound.EXACT,
        version=2,
        only_linear=True,
        description="closed form for linear models, without the box [0, 1] (paper, section 6)",
    ),
)

METHODS.add(
    "deepfool",
    Method(
        "deepfool",
        "DeepFool",
        LazyFunction("rbcore.distances.attacks.foolbox:deepfool"),
        bound=Bound.UPPER,
        version=2,
        description=(
            "Foolbox L2DeepFoolAttack: steps to the nearest linearized boundary "
            "(paper, section 4.1)"
        ),
        parameters=(
            Parameter("steps", 50, 1, 10_000, "largest number of steps"),
            Parameter("candidates", 10, 2, 1_000, "classes considered, the most likely first"),
            Parameter(
                "overshoot",
                0.02,
                0.0,
                1.0,
                "how far beyond the linearized boundary, as a share of the step",
            ),
        ),
        presets={
            "foolbox": {"steps": 50, "candidates": 10, "overshoot": 0.02},
            "paper": {"steps": 100, "candidates": 10, "overshoot": 0.05},
        },
    ),
)

METHODS.add(
    "carlini_wagner",
    Method(
        "carlini_wagner",
        "Carlini-Wagner",
        LazyFunction("rbcore.distances.attacks.foolbox:carlini_wagner"),
        bound=Bound.UPPER,
        version=2,
        description=(
            "Foolbox L2CarliniWagnerAttack (Carlini & Wagner 2017): Adam on distance plus a "
            "weighted margin, the weight found by bisection; its defaults find what the budget of "
            "the paper (section 4.1, preset paper) leaves to the fallback"
        ),
        parameters=(
            Parameter("steps", 100, 1, 100_000, "steps of Adam for each weight, all of them taken"),
            Parameter("binary_search_steps", 6, 1, 100, "weights tried, one after the other"),
            Parameter(
                "stepsize",
                5e-2,
                1e-6,
                1.0,
                "learning rate of Adam, in units of the inverse tanh of pixels in [-1, 1]",
            ),
            Parameter(
                "initial_const",
                1e-1,
                1e-10,
                1e10,
                "first weight, in squared pixel distance per unit of logit",
            ),
            Parameter(
                "confidence",
                0.0,
                0.0,
                1_000.0,
                "margin beyond the boundary, in units of the logits",
            ),
        ),
        presets={
            "paper": {
                "steps": 100,
                "binary_search_steps": 5,
                "stepsize": 5e-3,
                "initial_const": 1e-2,
                "confidence": 0.0,
            },
            "foolbox": {
                "steps": 10_000,
                "binary_search_steps": 9,
                "stepsize": 1e-2,
                "initial_const": 1e-3,
                "confidence": 0.0,
            },
        },
        passes=lambda given: int(given["steps"]) * int(given["binary_search_steps"]),
    ),
)
METHODS.add(
    "ddn",
    Method(
        "ddn",
        "DDN",
        LazyFunction("rbcore.distances.attacks.foolbox:ddn"),
        bound=Bound.UPPER,
        version=2,
        description=(
            "Foolbox DDNAttack (Rony et al. 2019): steps along the gradient on a sphere that "
            "grows or shrinks at each"
        ),
        parameters=(
            Parameter("steps", 100, 1, 100_000, "steps, all of them taken"),
            Parameter(
                "init_epsilon",
                1.0,
                1e-6,
                1_000.0,
                "first radius of the sphere, L2 in [0, 1] pixels",
            ),
            Parameter("gamma", 0.05, 1e-6, 0.999, "share by which the radius changes at a step"),
        ),
        presets={"foolbox": {"steps": 100, "init_epsilon": 1.0, "gamma": 0.05}},
        passes=lambda given: int(given["steps"]),
    ),
)

METHODS.add(
    "minimal",
    Method(
        "minimal",
        "Minimal",
        LazyFunction("rbcore.distances.attacks.minimal:run"),
        bound=Bound.UPPER,
        version=2,
        description=(
            "our own: DeepFool in an active pool, then minimum-norm steps relative to the "
            "distance, from several classes"
        ),
        parameters=(
            Parameter(
                "candidates",
                5,
                1,
                1_000,
                "classes compared at the clean image, the most likely first",
            ),
            Parameter(
                "starts", 2, 1, 1_000, "classes tried, the nearest linearized boundary first"
            ),
            Parameter(
                "farthest",
                1.0,
                0,
                1e9,
                "how far these may lie at most, in units of DeepFool's distance",
            ),
            Parameter("trial_steps", 10, 0, 10_000, "steps for which each is tried"),
            Parameter("kept", 1, 1, 1_000, "starts that are refined"),
            Parameter(
                "steps", 11, 0, 10_000, "steps for which they are refined; 0: DeepFool's result"
            ),
            Parameter("restarts", 0, 0, 100, "times the best is refined again with twice the step"),
        ),
        presets={
            "fast": {
                "candidates": 3,
                "starts": 1,
                "farthest": 1.0,
                "trial_steps": 0,
                "kept": 1,
                "steps": 0,
                "restarts": 0,
            },
            "standard": {
                "candidates": 5,
                "starts": 2,
                "farthest": 1.0,
                "trial_steps": 10,
                "kept": 1,
                "steps": 11,
                "restarts": 0,
            },
            "thorough": {
                "candidates": 6,
                "starts": 6,
                "farthest": 1e9,
                "trial_steps": 30,
                "kept": 3,
                "steps": 70,
                "restarts": 2,
            },
        },
    ),
)

NOISE = Parameter(
    "noise", 0.125, 1e-4, 10.0, "standard deviation of the noise, L2 pixel space [0, 1]"
)
N0 = Parameter("n0", 100, 1, 100_000, "noisy copies to guess the class of g from")
N = Parameter("n", 1000, 1, 10_000_000, "noisy copies to count the guessed class in")
ALPHA = Parameter(
    "alpha", 0.001, 1e-9, 0.5, "largest probability that an image's statement is false"
)

METHODS.add(
    "smoothing",
    Method(
        "smoothing",
        "Randomized smoothing",
        LazyFunction("rbcore.distances.smoothing.certify:run"),
        bound=Bound.LOWER,
        smoothed=True,
        description=(
            "radius certified for the smoothed classifier g with probability 1 - alpha "
            "(Cohen et al. 2019; paper, section 4.2); in bfloat16 for the smoothed bfloat16 "
            "copy of the network"
        ),
        parameters=(
            NOISE,
            N0,
            N,
            ALPHA,
            Parameter(
                "precision",
                "float32",
                meaning=(
                    "what the network computes in; with bfloat16 the certificate "
                    "is for that network"
                ),
                choices=("float32", "bfloat16"),
            ),
        ),
        presets={"paper": {"noise": 0.125, "n0": 100, "n": 100_000, "alpha": 0.001}},
        version=2,
        columns=("network_prediction", "smoothed_prediction", "votes"),
        passes=lambda parameters: int(parameters["n0"]) + int(parameters["n"]),
    ),
)

METHODS.add(
    "smoothing_attack",
    Method(
        "smoothing_attack",
        "Attack on the smoothed classifier g",
        LazyFunction("rbcore.distances.smoothing.attack:run"),
        bound=Bound.UPPER,
        smoothed=True,
        description=(
            "upper bound of the distance of the smoothed classifier g, not of f, shown by votes "
            "with probability 1 - alpha: minimum-norm steps against the mean probability over "
            "noisy copies (after SmoothAdv, Salman et al. 2019)"
        ),
        parameters=(
            NOISE,
            Parameter("draws", 16, 1, 10_000, "fixed noisy copies of an image to attack"),
            Parameter("steps", 40, 1, 10_000, "steps of the attack"),
            N0,
            N,
            ALPHA,
        ),
        version=2,
        columns=("network_prediction", "smoothed_prediction", "votes"),
    ),
)
