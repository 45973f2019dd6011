"""Stands in for ``adb``: plays the transcript in EDGEKIT_ADB_TRANSCRIPT, call after call, and refuses any other call.

A run's name, which is random, reads RUN in a transcript. What was called is kept in EDGEKIT_ADB_LOG, a JSON object a line.
"""

import json
import os
import re
import sys
import time


def main() -> int:
    called = [re.sub(r"\b[0-9a-f]{16}\b", "RUN", argument) for argument in sys.argv[1:]]
    given = sys.stdin.buffer.read()
    log = os.environ["EDGEKIT_ADB_LOG"]
    with open(log, "a+", encoding="utf-8") as file:
        file.seek(0)
        number = len(file.readlines())
        file.write(json.dumps({"arguments": called, "stdin": given.decode(errors="replace")}) + "\n")
    with open(os.environ["EDGEKIT_ADB_TRANSCRIPT"], encoding="utf-8") as file:
        calls = json.load(file)
    expected = calls[number] if number < len(calls) else {"arguments": None}
    if called != expected["arguments"]:
        with open(log + ".wrong", "a", encoding="utf-8") as file:
            file.write(f"call {number} is {called}, the transcript has {expected['arguments']}\n")
        return 97
    time.sleep(expected.get("seconds", 0))
    out = expected.get("stdout", "").replace("{stdin_bytes}", str(len(given)))
    if out == "{profile}":
        with open(os.environ["EDGEKIT_ADB_PROFILE"], encoding="utf-8") as file:
            out = file.read()
    sys.stdout.write(out)
    sys.stderr.write(expected.get("stderr", ""))
    return expected.get("exit", 0)


sys.exit(main())
