import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from rbcore.runtime import keep_freed_memory
granted = keep_freed_memory() if sys.argv[1] == "kept" else None
def use():
    torch.ones(10_000_000)  # 40 MB, freed at once
for _ in range(5):  # the heap may grow twice before a freed block is found again
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    use()
print(granted, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> tuple[str, int]:
    """Return what was granted, and the page faults of using 40 MB forty times."""
    said = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True
    ).stdout
    granted, number = said.split()
    return granted, int(number)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is on Linux")
def test_memory_that_was_freed_is_used_again_without_asking_the_system():
    granted, kept = faults("kept")
    if granted != "True":
        pytest.skip("the C library is not glibc")
    _, usual = faults("usual")
    assert usual > 80_000  # 4 KiB a page
    assert kept < usual / 5  # a heap may grow a few times more
