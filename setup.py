"""Packages of the wheel: ``rbcore/`` and the bundled results; the rest is in pyproject.toml."""

from setuptools import find_packages, setup

BUNDLED = "rbcore.bundled"

setup(
    packages=[*find_packages(include=["rbcore", "rbcore.*"]), BUNDLED],
    package_dir={BUNDLED: "cache/bundled"},
    package_data={BUNDLED: ["**/*"], "rbcore.reports": ["templates/*.html"]},
)
