"""Freed memory kept for the next step of search."""

import ctypes
import functools
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of <malloc.h>
MOST = 2**25  # bytes; glibc raises its limit for blocks of their own no further by itself


@functools.cache
def keep_pages() -> bool:
    """Let glibc's allocator keep up to 64 megabytes of freed memory; return whether it does.

    A step of search frees some ten megabytes of logits, and the next one asks for them again. Given
    back to the system in between, they come anew page by page: at beam 5 and batch 64 on one thread
    1,800 page faults and 5 of 29 milliseconds a step. The limits are those at which glibc's own
    rule ends once large blocks have been freed: blocks of up to 32 megabytes come from the heap,
    and of the heap's end twice as much stays. Other threads than the first have heaps in pieces of
    64 megabytes, and a padding as large keeps a piece that becomes empty: on two threads 64 steps
    had up to 64,000 page faults without it, and at most 1,000 with it. All this holds for the whole
    process, from now on. Elsewhere than under glibc nothing happens.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl has none
        return False
    limits = {M_MMAP_THRESHOLD: MOST, M_TRIM_THRESHOLD: 2 * MOST, M_TOP_PAD: 2 * MOST}
    return sum(mallopt(which, limit) for which, limit in limits.items()) == len(limits)
