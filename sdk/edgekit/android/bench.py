"""A benchmark in the demo app, started through adb and waited for."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekit.android import APP
from edgekit.android.adb import UnreachableError
from edgekit.android.folder import TIDY_S, RunFolder, run_folder
from edgekit.android.phone import Phone
from edgekit.android.request import Request, texts_file
from edgekit_runtime import jsonio
from edgekit_runtime.errors import BundleError, DeviceError
from edgekit_runtime.profiling.profile import Profile
from edgekit_runtime.progress import Listener

ACTIVITY, ACTION = f"{APP}/.HeadlessActivity", f"{APP}.BENCHMARK"
SUFFIX = ".edgekit"
KEY_NAME = "seal.key"
LIMIT_S = 600.0
FIRST_LOOK_S, LOOK_S = 0.25, 2.0
"""Between two looks, at the begin and later; each makes the phone start a shell, so that more would be measured along."""
MISSES = 4
"""So many looks in a row find no process of an app that died; one that starts, or has just written, may be missed, too."""
LOST_S = 60.0
"""So long a phone may be out of reach in between, as one on Wi-Fi whose radio sleeps; the run goes on meanwhile."""


def bench(
    phone: Phone,
    request: Request,
    listener: Listener,
    *,
    bundle: Path | None = None,
    texts: Sequence[str] | None = None,
    key: bytes | None = None,
    limit_s: float = LIMIT_S,
) -> dict[str, Any]:
    """Has the app measure, and fetches what it wrote.

    Args:
        phone: Where; the app must be installed.
        request: How.
        listener: Told of the steps.
        bundle: What is measured, as :func:`check_bundle` let pass; None takes the one that is in the app.
        texts: What is classified; None takes the app's.
        key: The key file of a sealed bundle; the app removes it from the phone before it measures.
        limit_s: Seconds that the app may take.

    Returns:
        The app's own object, the keys of a profile among others.

    Raises:
        DeviceError: The app is missing, cannot be started, fails, dies or takes too long.
    """
    if not phone.has_app():
        raise DeviceError(f"the demo app is not on the phone {phone.serial}: edgekit android install puts it there")
    listener.stage(f"Waking {phone.name}")
    if phone.wake():
        listener.say("the phone is locked: unlock it, or Android may slow the app down or stop it")
    extras = request.extras()
    with run_folder(phone, listener) as folder:
        if texts is not None:
            listener.stage("Copying the texts")
            extras["texts"] = "texts.txt"
            folder.put(extras["texts"], texts_file(texts))
        if bundle is not None:
            listener.stage(f"Copying {bundle.name}, {bundle.stat().st_size / 1e6:.1f} MB")
            extras["bundle"] = _plain(bundle.name)
            folder.put(extras["bundle"], bundle)
        if key is not None:
            extras["key"] = KEY_NAME
            folder.put(extras["key"], key)
        listener.stage("Starting the app")
        try:
            _start(phone, {**extras, "id": folder.run})
            found = _wait(phone, folder, listener, limit_s)
        except BaseException:
            _stop(phone, listener)
            raise
    if "error" in found:
        raise DeviceError(f"the phone says: {found['error']} ({found.get('kind', 'no kind')})")
    return found


def to_profile(found: dict[str, Any]) -> Profile:
    """The profile in what the app wrote.

    Raises:
        DeviceError: It is none that this edgekit can read.
    """
    try:
        return jsonio.decode(Profile, found, "the app's profile")
    except BundleError as error:
        raise DeviceError(
            f"the app and this edgekit do not fit together ({error}): install its app anew, edgekit android install"
        ) from error


def _plain(name: str) -> str:
    """A file's name as the app takes it, so that its profile tells of it."""
    return (re.sub(r"[^A-Za-z0-9_-]", "_", name.removesuffix(SUFFIX))[:100] or "bundle") + SUFFIX


def _start(phone: Phone, extras: dict[str, str]) -> None:
    said = [word for name, value in extras.items() for word in ("--es", name, value)]
    started = phone.shell("am", "start", "-n", ACTIVITY, "-a", ACTION, *said)
    wrong = [line for line in f"{started.text}\n{started.said}".splitlines() if line.startswith(("Error", "Exception"))]
    if wrong or started.exit:  # am ends with 0 on some versions although it could not
        reason = (wrong or [started.last_line])[-1]
        raise DeviceError(
            f"the app cannot be started ({reason}): install the app of this edgekit, edgekit android install"
        )


def _wait(phone: Phone, folder: RunFolder, listener: Listener, limit_s: float) -> dict[str, Any]:
    begin = reached = time.monotonic()
    before: dict[str, Any] = {}
    misses, pause_s = 0, FIRST_LOOK_S
    while True:
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LOOK_S)
        try:
            look = folder.look()
            alive = look.result is not None or look.progress != before or phone.runs_app()
        except UnreachableError:
            if time.monotonic() - reached > LOST_S:
                raise
            continue
        if look.result is not None:
            return look.result
        misses = 0 if alive else misses + 1
        if misses == MISSES:
            raise DeviceError(
                "the app died on the phone, for want of memory perhaps: adb logcat -d -s edgekit-bench AndroidRuntime shows more"
            )
        reached = time.monotonic()
        if reached - begin > limit_s:
            raise DeviceError(
                f"the app has not finished within {limit_s:g} s ({json.dumps(look.progress)}): give a longer --limit"
            )
        _tell(look.progress, before, listener)
        before = look.progress


def _tell(progress: dict[str, Any], before: dict[str, Any], listener: Listener) -> None:
    """Passes the app's progress on."""
    stage, done, total = progress.get("stage"), progress.get("done"), progress.get("total")
    if stage is not None and stage != before.get("stage"):
        listener.stage(f"The phone measures: {stage}")
    if isinstance(done, int) and isinstance(total, int) and total > 0:
        listener.progress(done, total)


def _stop(phone: Phone, listener: Listener) -> None:
    try:
        phone.shell("am", "force-stop", APP, limit_s=TIDY_S)
    except DeviceError as error:
        listener.say(f"the app may still be running on the phone ({error}): close it there")
