"""Runs in the Python that has tflite-runtime: a JSON string a line in, the JSON string of its label a line out.

It is not run by hand: ``python -I tflite_worker.py RUNTIME BUNDLE THREADS``.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Answers until stdin ends."""
    runtime, bundle, threads = sys.argv[1:]
    sys.path.append(runtime)
    import edgekit_runtime

    with edgekit_runtime.load(bundle, threads=int(threads)) as classify:
        for line in sys.stdin:
            print(json.dumps(classify(json.loads(line)).label), flush=True)


if __name__ == "__main__":
    main()
