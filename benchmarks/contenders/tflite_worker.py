"""Runs in the Python that has tflite-runtime: a JSON string a line in, the number of its class a line out.

It is not run by hand: ``python -I tflite_worker.py PROGRAM TOKENIZER MAX_LENGTH THREADS``.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from tflite_runtime.interpreter import Interpreter
from tokenizers import Tokenizer


def main() -> None:
    """Answers until stdin ends."""
    program, tokenizer_file, max_length, threads = sys.argv[1:]
    tokenizer = Tokenizer.from_file(tokenizer_file)
    tokenizer.no_padding()
    tokenizer.enable_truncation(int(max_length))
    interpreter = Interpreter(model_path=program, num_threads=int(threads))
    lengths = sorted(int(key.rpartition("_")[2]) for key in interpreter.get_signature_list())
    runners = {length: interpreter.get_signature_runner(f"length_{length}") for length in lengths}
    for line in sys.stdin:
        ids = tokenizer.encode(json.loads(line)).ids
        length = next(length for length in lengths if length >= len(ids))
        padded = np.zeros((1, length), dtype=np.int32)
        mask = np.zeros((1, length), dtype=np.float32)
        padded[0, : len(ids)] = ids
        mask[0, : len(ids)] = 1
        logits = runners[length](ids=padded, mask=mask)["output_0"]
        print(int(logits[0].argmax()), flush=True)


if __name__ == "__main__":
    main()
