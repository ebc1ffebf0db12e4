"""Denormals, numbers too small for their format's exponent, taken as zero while a net runs.

Intel's processors compute with them ten times slower than with other numbers, and nets trained with weight
decay are full of them. A register of each thread says so (MXCSR: Intel 64 Software Developer's Manual, volume
1, 10.2.3). onnxruntime's own option sets it once a process, in the thread that makes the first session, for
all that this thread does from then on, and in none of those that run nets: so it is set here, for as long as
a run lasts.
"""

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["denormals_as_zero"]

#: Bits of MXCSR: denormal results become zero (FTZ), and denormal operands count as zero (DAZ).
_AS_ZERO = 0x8000 | 0x0040
#: Elsewhere they cost little (ARM), or the C library keeps the register in another place.
_SUPPORTED = sys.platform == "linux" and platform.machine() == "x86_64"


class _Environment(ctypes.Structure):
    """The `fenv_t` of glibc and of musl on x86-64."""

    _fields_ = (("x87", ctypes.c_uint8 * 28), ("mxcsr", ctypes.c_uint32))


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Let the calling thread take denormals as zero; afterwards it computes as before."""
    if not _SUPPORTED:
        yield
        return
    environment = _Environment()
    _C.fegetenv(ctypes.byref(environment))
    before = environment.mxcsr
    _set(environment, before | _AS_ZERO)
    try:
        yield
    finally:
        _set(environment, before)


def _set(environment: _Environment, mxcsr: int) -> None:
    environment.mxcsr = mxcsr
    _C.fesetenv(ctypes.byref(environment))


#: PyDLL: nothing that waits, so that the interpreter's lock need not be let go of.
_C = ctypes.PyDLL(None) if _SUPPORTED else ctypes.pythonapi
