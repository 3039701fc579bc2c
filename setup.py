"""Which packages the wheel holds: all that lie in ``rbcore/``, and the bundled results; pyproject.toml says the rest."""

from setuptools import find_packages, setup

BUNDLED = "rbcore.bundled"

setup(
    packages=[*find_packages(include=["rbcore", "rbcore.*"]), BUNDLED],
    package_dir={BUNDLED: "cache/bundled"},
    package_data={BUNDLED: ["**/*"], "rbcore.reports": ["templates/*.html"]},
)
