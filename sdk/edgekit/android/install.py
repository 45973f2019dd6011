"""Putting the demo app on a phone."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from edgekit.android import APP
from edgekit.android.phone import Phone
from edgekit_runtime.errors import DeviceError, FileError

LIMIT_S = 300.0

UNINSTALL = f"adb uninstall {APP} takes it off with its data, then try again"
REASONS = {
    "INSTALL_FAILED_UPDATE_INCOMPATIBLE": f"the app on it is signed with another key, of another computer say: {UNINSTALL}",
    "INSTALL_FAILED_VERSION_DOWNGRADE": f"the app on it is newer: {UNINSTALL}",
    "INSTALL_FAILED_NO_MATCHING_ABIS": "its processor is none that the APK is built for (arm64-v8a, x86_64): use a 64-bit phone",
    "INSTALL_FAILED_INSUFFICIENT_STORAGE": "it has too little free storage: make room and try again",
    "INSTALL_FAILED_OLDER_SDK": "its Android is too old: the app needs Android 8.0 or newer",
    "INSTALL_FAILED_USER_RESTRICTED": (
        "it does not allow installing over USB, or nobody confirmed: allow it in its Developer options and confirm on the phone"
    ),
    "INSTALL_FAILED_VERIFICATION_FAILURE": "its check of apps refused it: confirm on the phone and try again",
    "INSTALL_FAILED_INVALID_APK": "the APK is damaged: edgekit android build makes a new one",
    "INSTALL_PARSE_FAILED_NO_CERTIFICATES": "the APK is not signed, or damaged: edgekit android build makes a new one",
    "INSTALL_PARSE_FAILED_NOT_APK": "the file is no APK: edgekit android build makes one",
}
"""What the package manager calls a failure (android.content.pm.PackageManager), in words and with the next step."""


def check_apk(path: Path) -> None:
    """Refuses what is no APK, before a phone is asked.

    Raises:
        FileError: It is missing, not named as one, or no APK.
    """
    if not path.is_file():
        raise FileError(f"there is no file {path}: edgekit android build makes the APK, --apk FILE takes another")
    if path.suffix.lower() != ".apk":
        raise FileError(f"{path} must be named *.apk, or adb does not take it: rename it")
    try:
        with zipfile.ZipFile(path) as apk:
            complete = "AndroidManifest.xml" in apk.namelist()
    except (zipfile.BadZipFile, OSError):
        complete = False
    if not complete:
        raise FileError(f"{path} is no APK, or a damaged one: edgekit android build makes a new one")


def install(phone: Phone, apk: Path) -> None:
    """Installs the APK, over an older one whose data stays.

    Args:
        phone: Where.
        apk: A file that :func:`check_apk` let pass.

    Raises:
        DeviceError: The phone refuses; the message says why and what to do.
    """
    done = phone.adb("install", "-r", str(apk), limit_s=LIMIT_S)
    said = f"{done.text}\n{done.said}"
    failure = re.search(r"(INSTALL_\w+)[^\]\n]*", said)  # older versions of adb end with 0 all the same
    if failure is not None:
        reason = REASONS.get(failure[1], f"Android says {failure[0]}; adb uninstall {APP} and another try may help")
        raise DeviceError(f"the phone {phone.serial} does not take the app: {reason}")
    if done.exit or "Success" not in said:
        raise DeviceError(f"the phone {phone.serial} does not take the app: {done.last_line}; see what it shows")
