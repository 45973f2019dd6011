"""A phone that adb reaches: which one, what it is, commands on it, and the demo app's private folder."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from typing import IO

from edgekit.android import APP
from edgekit.android.adb import LIMIT_S, Adb, Answer
from edgekit_runtime.errors import DeviceError

READY = "device"
STATES = {
    "unauthorized": "has not allowed this computer yet: unlock it, confirm 'Allow USB debugging' on the phone, and try again",
    "authorizing": "is being asked to allow this computer: confirm on the phone, and try again",
    "connecting": "is still connecting: try again in a moment",
    "offline": "is offline: unplug it and plug it in again, or adb reconnect offline",
    "no permissions": (
        "may not be opened by your user: install the USB rules (Debian: apt install android-sdk-platform-tools-common) "
        "and plug it in again"
    ),
}
"""What adb calls a device that cannot be used yet, and what to do about it."""


@dataclass(frozen=True)
class Listed:
    """A device that ``adb devices`` lists, and its state."""

    serial: str
    state: str


class Phone:
    """A phone that answers.

    The app's files are reached by ``run-as``, which acts as the app itself; its APK is a debug build, for which every Android
    from 8 to 15 allows that. The folder that apps have on the shared storage, /sdcard/Android/data, would be the other way:
    from Android 11 on ``adb push`` fails there on some phones ("remote fchown failed: Operation not permitted") or leaves
    files that the app may not read, and before the app's first start there is no such folder.

    Args:
        adb: Calls for this phone.
        serial: Its serial number, as adb lists it.
    """

    def __init__(self, adb: Adb, serial: str) -> None:
        self._adb = adb
        self.serial = serial

    def adb(self, *arguments: str, limit_s: float = LIMIT_S) -> Answer:
        """Runs ``adb ARGUMENTS`` for this phone; errors as from :meth:`Adb.run`."""
        return self._adb.run(*arguments, limit_s=limit_s)

    def shell(self, *words: str, stdin: IO[bytes] | None = None, limit_s: float = LIMIT_S) -> Answer:
        """Runs a command on the phone, whose shell gets each word quoted.

        From Android 7 on neither stdin nor stdout is altered on the way and the exit code is the command's.
        """
        return self._adb.run("shell", shlex.join(words), stdin=stdin, limit_s=limit_s)

    def as_app(self, script: str, stdin: IO[bytes] | None = None, limit_s: float = LIMIT_S) -> Answer:
        """Runs a shell script as the demo app, in its private folder.

        Raises:
            DeviceError: The phone does not let us: the app is no debug build, say.
        """
        answer = self.shell("run-as", APP, "sh", "-c", script, stdin=stdin, limit_s=limit_s)
        if answer.exit and answer.said.startswith("run-as: "):
            raise DeviceError(
                f"the phone gives no access to the app's files ({answer.last_line}): put the debug build on it, "
                "edgekit android install"
            )
        return answer

    @property
    def name(self) -> str:
        """What it is, "Google Pixel 8, Android 15"."""
        wanted = ("ro.product.manufacturer", "ro.product.model", "ro.build.version.release")
        maker, model, android = (self.shell("getprop", name).text.strip() for name in wanted)
        return f"{maker} {model}, Android {android}"

    def has_app(self) -> bool:
        """Whether the demo app is installed."""
        return self.shell("pm", "path", APP).text.startswith("package:")

    def runs_app(self) -> bool:
        """Whether the app has a process."""
        return self.shell("pidof", APP).exit == 0

    def wake(self) -> bool:
        """Turns the screen on and takes away a lock screen that asks for nothing.

        Returns:
            Whether it is locked still, as far as the phone tells.
        """
        self.shell("input", "keyevent", "KEYCODE_WAKEUP")
        self.shell("wm", "dismiss-keyguard")
        policy = self.shell("dumpsys", "window", "policy").text
        return bool(re.search(r"(?:mShowingLockscreen|mInputRestricted|mIsShowing|\bshowing)=true", policy))


def find_phone(serial: str | None = None) -> Phone:
    """The phone to use.

    Args:
        serial: Its serial number; None takes ANDROID_SERIAL's, or else the only one that is ready.

    Raises:
        DeviceError: There is none, there are several, or it cannot be used yet; the message says what to do.
    """
    listed = _listed(Adb().run("devices"))
    serial = serial or os.environ.get("ANDROID_SERIAL") or None
    if not listed:
        raise DeviceError(
            "adb sees no phone: plug one in with USB debugging on (Settings, Developer options), "
            "or pair one over Wi-Fi (adb pair HOST:PORT, adb connect HOST:PORT)"
        )
    names = ", ".join(f"{each.serial} ({each.state})" for each in listed)
    if serial is not None:
        chosen = [each for each in listed if each.serial == serial]
        if not chosen:
            raise DeviceError(f"adb sees no phone {serial}, only {names}: choose with --serial")
    else:
        chosen = [each for each in listed if each.state == READY] or listed
        if len(chosen) > 1:
            raise DeviceError(f"adb sees several phones: {names}; choose with --serial, or in ANDROID_SERIAL")
    (phone,) = chosen
    if phone.state != READY:
        advice = STATES.get(phone.state, f"is in the state {phone.state}: adb -s {phone.serial} reboot starts Android")
        raise DeviceError(f"the phone {phone.serial} {advice}")
    return Phone(Adb(phone.serial), phone.serial)


def _listed(answer: Answer) -> list[Listed]:
    """Reads ``adb devices``: after a title, a line a device, serial number and state with a tab between."""
    if answer.exit:
        raise DeviceError(f"adb devices failed: {answer.last_line}; adb kill-server, then try again")
    found = []
    for line in answer.text.splitlines():
        serial, tab, state = line.partition("\t")
        if tab:  # "no permissions" is followed by reasons and an address
            found.append(Listed(serial, "no permissions" if state.startswith("no permissions") else state.strip()))
    return found
