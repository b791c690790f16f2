"""Memory that a step has freed is there for the next one."""

import subprocess
import sys

import pytest

ASK_AGAIN = """
import resource, sys
from drumblender.process import settle
if sys.argv[1] == "settled":
    settle()
import torch
def faults():
    began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**24)  # 64 MiB, which the allocator would hand back
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - began
faults()
print(faults())
"""


def faults(*args):
    command = [sys.executable, "-c", ASK_AGAIN, *args]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is kept on Linux")
def test_large_tensors_come_from_memory_that_is_kept():
    assert faults("settled") < 0.5 * faults("as it is")  # a few, while the heap grows to its size


def test_nothing_that_stays_is_searched_for_garbage_at_the_end():
    count = (
        "import atexit, gc, sys; atexit.register(lambda: print(gc.get_freeze_count()))\n"
        "from drumblender.process import settle; settle(); settle()"
    )
    found = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True).stdout
    assert int(found) > 1000
