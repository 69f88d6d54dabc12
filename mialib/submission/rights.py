"""A process gives its rights up, for good: what it runs then reads what Python needs and one file, and writes nothing.

Linux alone offers that to anybody: Landlock for files and ports, a filter of system calls (seccomp) for what Landlock
leaves. It needs nothing but the standard library, so that no thread of a library's escapes it: both bind the thread
that calls, and those it starts.
"""

import ctypes
import os
import platform
import signal
import struct
import sys
from pathlib import Path

MEMORY = 16 << 30
"""Bytes that the process may map."""

READABLE = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/urandom", "/dev/null", "/proc/cpuinfo", "/proc/meminfo")
READABLE += ("/proc/self", "/sys/devices/system", "/sys/fs/cgroup")
"""What libraries look for, besides Python itself: processors, memory, and what they are themselves."""

_RULESET, _RULE, _RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""By version of Landlock, how many rights about files it knows, of which all but reading are given up."""

_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""By what a machine calls itself: its number in a filter, and its column in `DENIED`."""

DENIED = """
socket 41 198          socketpair 53 199      io_uring_setup 425 425  execve 59 221         execveat 322 281
fork 57 -              vfork 58 -             unshare 272 97          setns 308 268         ptrace 101 117
kill 62 129            tkill 200 130          tgkill 234 131          rt_sigqueueinfo 129 138
rt_tgsigqueueinfo 297 240                     pidfd_open 434 434      pidfd_send_signal 424 424
pidfd_getfd 438 438    process_vm_readv 310 270                       process_vm_writev 311 271
chmod 90 -             fchmod 91 52           fchmodat 268 53         fchmodat2 452 452
chown 92 -             fchown 93 55           lchown 94 -             fchownat 260 54
utime 132 -            utimes 235 -           futimesat 261 -         utimensat 280 88
setxattr 188 5         lsetxattr 189 6        fsetxattr 190 7         setxattrat 463 463
removexattr 197 14     lremovexattr 198 15    fremovexattr 199 16     removexattrat 466 466  file_setattr 469 469
truncate 76 45         openat2 437 437        open_by_handle_at 304 265
shmget 29 194          shmat 30 196           msgget 68 186           semget 64 190         mq_open 240 180
keyctl 250 219         add_key 248 217        request_key 249 218     bpf 321 280           perf_event_open 298 241
userfaultfd 323 282    syslog 103 116         setpriority 141 140     ioprio_set 251 30
sched_setscheduler 144 119                    sched_setparam 142 118  sched_setattr 314 274
mount 165 40           umount2 166 39         open_tree 428 428       fsopen 430 430        move_mount 429 429
"""
"""System calls that fail, by their numbers on x86-64 and on ARM: the network, other processes, the marks of files."""

_CLONE, _CLONE3, _OPEN, _OPENAT = (56, 220), (435, 435), (2, None), (257, 56)
_PRLIMIT, _PRCTL, _IOCTL = (302, 261), (157, 167), (16, 29)
_EPERM, _ENOSYS = 1, 38


def missing():
    """Return why this machine cannot take a process's rights (str), None if it can."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES or sys.maxsize < 1 << 32:
        return f"only Linux on {' and '.join(_MACHINES)} can, and this is {platform.system()} on {platform.machine()}"
    if _version() < 1:
        return "this kernel has no Landlock, or it is not turned on (Linux 5.13 or newer has it)"
    return None


def drop(readable, parent=None):
    """Give all rights up but to compute and to read; an OSError if that fails, and then nothing may be run.

    Parameters
    ----------
    readable : sequence of path
        What can still be read: files, and folders with all in them.
    parent : int, optional
        The process with whose main thread this one ends.
    """
    import resource  # which Windows has not

    if len(os.listdir("/proc/self/task")) > 1:
        raise OSError("there are threads already, which would keep their rights")
    libc = ctypes.CDLL(None, use_errno=True)
    if parent is not None:
        _call(libc.prctl, 1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            raise OSError("the process that asks is gone")
    for kind, most in ((resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, MEMORY)):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    _call(libc.prctl, 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    _forget_root(libc)
    _landlock(libc, readable)
    _filter(libc)


def _call(function, *arguments):
    """Return what a function of the C library returns; an OSError if it fails."""
    function.restype = ctypes.c_long
    found = function(*(ctypes.c_long(of) if isinstance(of, int) else of for of in arguments))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


def _version():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc.syscall(ctypes.c_long(_RULESET), None, ctypes.c_long(0), ctypes.c_long(1))


def _forget_root(libc):
    """Leave a process of root without what sets root apart."""
    _call(libc.capset, ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0)), ctypes.create_string_buffer(24))


def _landlock(libc, readable):
    """Take the rights to files but to read some, those to ports and, where the kernel can, to others' sockets."""
    version = _version()
    every = (1 << max(n for since, n in _RIGHTS.items() if since <= version)) - 1
    net, scoped = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    handled = ctypes.create_string_buffer(struct.pack("QQQ", every, net, scoped))
    ruleset = _call(libc.syscall, _RULESET, handled, 24, 0)
    for path in dict.fromkeys(map(str, readable)):
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # what is not there cannot be read either
        rights = _READ_FILE | _READ_DIR if Path(path).is_dir() else _READ_FILE
        _call(libc.syscall, _RULE, ruleset, 1, ctypes.create_string_buffer(struct.pack("=Qi", rights, place)), 0)
        os.close(place)
    _call(libc.syscall, _RESTRICT, ruleset, 0)
    os.close(ruleset)


def _filter(libc):
    """Let the system calls of `DENIED` fail, and those by which a process begets another or outlives its parent."""
    code = b"".join(_program(*_MACHINES[platform.machine()]))
    held = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, ctypes.addressof(held)))
    _call(libc.prctl, 22, 2, program, 0, 0)  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def _program(machine, column):
    """Yield the steps of the filter, in the kernel's own form: what is loaded, compared, and returned."""

    def step(code, value, yes=0, no=0):
        return struct.pack("HBBI", code, yes, no, value)

    load, equal, at_least, masked, answer = 0x20, 0x15, 0x35, 0x54, 0x06
    allow, deny, kill = 0x7FFF0000, 0x00050000 | _EPERM, 0x80000000
    yield step(load, 4)  # which machine's numbers these are
    yield step(equal, machine, 1, 0)
    yield step(answer, kill)
    yield step(load, 0)  # the number of the call
    yield step(at_least, 0x40000000, 0, 1)  # other numbers for the same calls, on x86-64
    yield step(answer, kill)
    words = DENIED.split()
    for of in zip(words[1::3], words[2::3], strict=True):
        if of[column] != "-":
            yield step(equal, int(of[column]), 0, 1)
            yield step(answer, deny)
    yield step(equal, _CLONE3[column], 0, 1)  # its flags cannot be seen; without it, threads are started by clone
    yield step(answer, 0x00050000 | _ENOSYS)
    # An argument, the bits of it that count, what they are, and whether it fails then or otherwise.
    thread, truncate, ends_with, marks = 0x10000, os.O_TRUNC, 1, (0x40086602, 0x401C5820)
    for numbers, place, mask, value, then in (
        (_CLONE, 0, thread, thread, False),  # another process
        (_OPEN, 1, truncate, truncate, True),  # which empties a file that is only read
        (_OPENAT, 2, truncate, truncate, True),
        (_PRLIMIT, 0, 0xFFFFFFFF, 0, False),  # the limits of others
        (_PRCTL, 0, 0xFFFFFFFF, ends_with, True),  # outlive the parent
        *((_IOCTL, 1, 0xFFFFFFFF, mark, True) for mark in marks),  # of files, as chattr sets them
    ):
        if numbers[column] is not None:
            yield step(equal, numbers[column], 0, 5)
            yield step(load, 16 + 8 * place)
            yield step(masked, mask)
            yield step(equal, value, 1 - then, then)
            yield step(answer, deny)
            yield step(load, 0)
    yield step(answer, allow)
