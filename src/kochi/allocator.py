"""Keep freed memory for the next step of search."""

import ctypes
import functools
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of <malloc.h>
MOST = 2**25  # bytes; glibc itself does not raise its threshold for separate blocks further


@functools.cache
def keep_pages() -> bool:
    """Let glibc's allocator keep up to 64 megabytes of freed memory; return whether it does.

    A step of search frees about ten megabytes of logits, which the next one allocates again. If
    they are returned to the system in between, they are mapped again page by page, which takes a
    sixth of a step at beam 5 and batch 64. The limits are those that glibc's own rule arrives at
    once large blocks have been freed: blocks of up to 32 megabytes are allocated on the heap, and
    twice as much is kept at its end. Threads other than the first have heaps in pieces of 64
    megabytes, and a padding of the same size keeps a piece that becomes empty. This applies to the
    whole process, from the call on. Without glibc the call has no effect.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl has none
        return False
    limits = {M_MMAP_THRESHOLD: MOST, M_TRIM_THRESHOLD: 2 * MOST, M_TOP_PAD: 2 * MOST}
    return sum(mallopt(which, limit) for which, limit in limits.items()) == len(limits)
