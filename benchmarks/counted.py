"""What instructions.py runs under callgrind: opens a contender and has it classify the same texts, a number of times.

It is not run by hand: ``python counted.py FILE PASSES``, where FILE holds a pickled contender and its texts.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path


def main() -> None:
    """Goes through the texts so often."""
    contender, texts = pickle.loads(Path(sys.argv[1]).read_bytes())
    classify = contender.open(1).classify
    for _ in range(int(sys.argv[2])):
        for text in texts:
            classify(text)


if __name__ == "__main__":
    main()
