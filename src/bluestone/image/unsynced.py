"""Has this process, and all that it starts, not wait for the disk: files are written to it once, when a tree is done.

dpkg flushes its database for every step of every package, though nobody sees the tree before it is whole. The kernel
answers that for it, by a filter of system calls (seccomp(2), Linux's Documentation/userspace-api/seccomp_filter.rst).
`syncfs`, by which a tree is written (`flush`), does what it says.
"""

from __future__ import annotations

import ctypes
import os
from typing import NamedTuple

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ANSWER_NOUGHT = 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE = 0, 4
"""Where the filter finds the number of the call, and whose numbers those are (`struct seccomp_data`)."""


class Machine(NamedTuple):
    """`AUDIT_ARCH_*` of a machine, and its numbers of fsync, fdatasync, sync and sync_file_range."""

    audit: int
    calls: tuple[int, ...]


MACHINES = {
    "x86_64": Machine(0xC000003E, (74, 75, 162, 277)),
    "aarch64": Machine(0xC00000B7, (82, 83, 81, 84)),
}


class Instruction(ctypes.Structure):
    """One of a filter (`struct sock_filter`)."""

    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class Program(ctypes.Structure):
    """A filter (`struct sock_fprog`)."""

    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(Instruction)))


def instructions(machine: Machine) -> list[tuple[int, int, int, int]]:
    """The filter: each a code, what to skip if it is so and if not, and a value. Others' numbers are all allowed."""
    count = len(machine.calls)
    tests = [(JUMP_IF_EQUAL, count - place, 0, call) for place, call in enumerate(machine.calls)]
    return [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_IF_EQUAL, 0, count + 1, machine.audit),
        (LOAD, 0, 0, NUMBER),
        *tests,
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ANSWER_NOUGHT),
    ]


def leave_unsynced() -> bool:
    """Begin; return whether it could. To be called by a worker that is root, if of a user namespace, once."""
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        return False
    rows = instructions(machine)
    program = Program(len(rows), (Instruction * len(rows))(*(Instruction(*row) for row in rows)))
    done: int = ctypes.CDLL(None).prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
    return done == 0
