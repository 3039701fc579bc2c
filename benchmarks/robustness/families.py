"""All cases, family by family, and a small choice of each kind."""

import random

from benchmarks.robustness.cases import Case
from benchmarks.robustness.damaged_runs import array_cases, sidecar_cases, weights_cases
from benchmarks.robustness.damaged_tables import part_cases, table_cases
from benchmarks.robustness.hostile_caches import cache_cases
from benchmarks.robustness.hostile_folders import folder_cases, official_cases
from benchmarks.robustness.hostile_metadata import metadata_cases
from benchmarks.robustness.hostile_pictures import picture_cases
from benchmarks.robustness.hostile_tables import table_input_cases
from benchmarks.robustness.hostile_weights import cifar_cases, weights_file_cases
from benchmarks.robustness.hostile_words import command_cases, spelling_cases
from benchmarks.robustness.kills import kill_cases
from benchmarks.robustness.links import link_cases
from benchmarks.robustness.networks import output_cases, weight_name_cases
from benchmarks.robustness.valid_data import valid_data_cases
from benchmarks.robustness.world import World

FAMILIES = (
    table_cases,
    part_cases,
    array_cases,
    sidecar_cases,
    weights_cases,
    table_input_cases,
    metadata_cases,
    picture_cases,
    folder_cases,
    official_cases,
    weights_file_cases,
    cifar_cases,
    command_cases,
    spelling_cases,
    cache_cases,
    link_cases,
    kill_cases,
    output_cases,
    weight_name_cases,
    valid_data_cases,
)
"""Each a generator of cases from the world and a seed."""


def all_cases(world: World, seed: int) -> list[Case]:
    """Return every case there is."""
    return [
        case
        for number, cases in enumerate(FAMILIES)
        for case in cases(world, 1000 * seed + 100_000 * number)
    ]


def chosen(cases: list[Case], n: int, seed: int) -> list[Case]:
    """Return at most ``n`` cases of every kind, drawn by the seed."""
    kinds: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        kinds.setdefault((case.family, case.kind), []).append(case)
    draw = random.Random(seed)  # noqa: S311
    return [case for kind in kinds.values() for case in draw.sample(kind, min(n, len(kind)))]
