"""What one step frees, the next one takes without asking the system for it."""

import ctypes
import resource

import pytest

from unroll.pipelines.training.computing import memory

SIZE, PAGE, TIMES = 48 << 20, resource.getpagesize(), 8


def faults_of_arrays() -> int:
    """Pages that the system had to clear for arrays that were taken, written and freed one after the other."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(TIMES):
        array = libc.malloc(SIZE)
        ctypes.memset(array, 1, SIZE)
        libc.free(array)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not hasattr(memory._libc, "mallopt"), reason="another C library than GNU's")
def test_large_arrays_are_kept_for_the_next_step_and_given_back_in_the_end():
    with memory.kept():
        faults_of_arrays()
        within = faults_of_arrays()
    after = faults_of_arrays()
    # huge pages make faults fewer by themselves: a share of those without is what counts
    assert within < 0.1 * after, f"{within} faults within, {after} after"
    assert after >= TIMES
