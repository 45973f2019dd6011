"""Uses a bundle in a process that the kernel ends when it, or a process that it starts, asks for a socket of the internet.

    python tests/offline.py BUNDLE ENGINE

The filter (seccomp, Linux) holds for native libraries too, of which Python's own hooks see nothing.
"""

from __future__ import annotations

import ctypes
import platform
import socket
import struct
import sys

SOCKET = {"x86_64": 41, "aarch64": 198}
"""The number of the system call, by machine."""

_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_KILL_PROCESS, _ALLOW = 0x80000000, 0x7FFF0000
_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_IPV4, _IPV6 = 2, 10
_NUMBER, _FIRST_ARGUMENT = 0, 16  # where they lie in what the filter looks at


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def forbid_network() -> None:
    """From here on a socket of the internet ends this process and what it starts; those of the machine itself are let pass."""
    instructions = (
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_IF_EQUAL, 0, 4, SOCKET[platform.machine()]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_IF_EQUAL, 1, 0, _IPV4),
        (_JUMP_IF_EQUAL, 0, 1, _IPV6),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_RETURN, 0, 0, _ALLOW),
    )
    packed = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in instructions))
    program = _Program(len(instructions), ctypes.addressof(packed))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or library.prctl(
        _SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter")


def main() -> None:
    """Loads the bundle on an engine, classifies, explains and profiles; or, for the engine ``socket``, asks for one."""
    path, engine = sys.argv[1:]
    forbid_network()
    socket.socket(socket.AF_UNIX).close()
    if engine == "socket":
        sys.stdout.write("asking\n")
        sys.stdout.flush()
        socket.socket(socket.AF_INET).close()
        return
    import edgekit_runtime
    from edgekit_runtime.profiling.measure import profile_bundle

    with edgekit_runtime.load(path, engine=engine) as classify:
        found = [classify("this film was good").label, classify.predict(["this film was bad"])[0].label]
        found += [word.text for word in classify.explain("not good").words]
    texts = profile_bundle(path, engine=engine, seconds=0.05).texts
    found.append(f"{texts.source}, up to {texts.tokens_max} tokens")
    sys.stdout.write("\n".join(found) + "\n")


if __name__ == "__main__":
    main()
