"""The paper's analyses on the data at hand.

`plan` says what is computed, `prepare` does it, `tables` and `sections` write it down.

To add an analysis: its function in `rbcore.analyses`, a table of it in `tables`, a
section in `sections`.
"""

from rbcore.reports.reproduction.plan import PLAN, Audit, quick
from rbcore.reports.reproduction.prepare import Material, prepare
from rbcore.reports.reproduction.sections import all_sections, provenance, write

__all__ = ["PLAN", "Audit", "Material", "all_sections", "prepare", "provenance", "quick", "write"]
