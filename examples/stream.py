"""Classifies the lines of stdin as they come, and answers each with a line of JSON.

How to start it::

    tail -f reviews.log | python stream.py model.edgekit
"""

import json
import os
import sys

import edgekit_runtime as ek


def main(path: str) -> None:
    """Answers until stdin ends."""
    with ek.load(path) as classify:
        for line in sys.stdin.buffer:  # bytes, so that one broken character does not end the stream
            text = line.decode("utf-8", errors="replace").rstrip("\r\n")
            answer = classify(text)
            sys.stdout.write(json.dumps({"text": text, "label": answer.label, "score": answer.score}) + "\n")
            sys.stdout.flush()  # the reader gets each answer at once, also through a pipe


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: stream.py BUNDLE")
    try:
        main(sys.argv[1])
    except ek.EdgekitError as error:
        sys.exit(f"stream.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read the answers has gone, as with | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
