"""The engines whose programs take every text in its own length: what is asked of each alike."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import edgekit_runtime as ek
from bundles import entries, with_contents
from edgekit_runtime.errors import BundleIntegrityError
from test_executorch_engine import PROBE, TEXT

ENGINES = {"executorch": ("model.pte", "ExecuTorch"), "onnx": ("model.onnx", "ONNX Runtime")}
"""Engine to the probe's program and to what messages call the engine."""


@pytest.fixture(params=[*ENGINES])
def engine(request):
    return request.param


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "probe.edgekit"
    path.write_bytes(PROBE.read_bytes())
    return path


@pytest.fixture
def classify(bundle, engine):
    with ek.load(bundle, engine=engine) as classifier:
        yield classifier


def test_texts_of_every_length_answer_as_on_litert(bundle, classify):
    with ek.load(bundle, engine="litert") as other:
        for text in ("", "a", "好", "👍 good", TEXT, "bad " * 40, "\ud800"):
            assert classify(text).label == other(text).label
            np.testing.assert_allclose(
                classify.logits(classify.encoder.ids(text)), other.logits(other.encoder.ids(text)), atol=0.1
            )


def test_padding_is_refused_rather_than_read(classify):
    mask = np.array([[1, 1, 0]], np.float32)
    with pytest.raises(ek.EngineError, match="drop the padding"):
        classify.engine.run(np.ones((1, 3), np.int32), mask)


def test_two_threads_at_once_get_the_same_answers(classify):
    texts = [TEXT[:length] for length in range(0, len(TEXT), 3)]
    expected = [classify(text) for text in texts]
    found = {}

    def work(number):
        found[number] = [[classify(text) for text in texts] for _ in range(20)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [expected] * 20 for number in range(4)}


def test_a_closed_engine_says_so_and_can_be_loaded_again(bundle, engine):
    classify = ek.load(bundle, engine=engine)
    expected = classify(TEXT)
    classify.close()
    classify.close()
    with pytest.raises(ek.EngineError, match="closed"):
        classify(TEXT)
    with ek.load(bundle, engine=engine) as again:
        assert again(TEXT) == expected


@pytest.mark.parametrize(
    "change",
    [lambda data: data[: len(data) // 2], lambda data: data[:6], lambda data: b"x" * 5000, lambda data: b"\0"],
    ids=["cut in half", "cut to a few bytes", "no program", "one byte"],
)
def test_a_program_that_cannot_be_loaded_is_an_error_in_one_line(bundle, engine, change):
    file, name = ENGINES[engine]
    damaged = {file.replace(".", "_"): bytes(change(entries(bundle)[file]))}
    with pytest.raises(ek.EngineError, match=f"{name} refuses {file}") as caught:
        ek.load(with_contents(bundle, bundle.with_name("damaged.edgekit"), **damaged), engine=engine)
    assert "\n" not in str(caught.value)


def test_any_flipped_byte_of_a_program_is_found_by_its_checksum(bundle, engine):
    file, _ = ENGINES[engine]
    part = ek.open_bundle(bundle).part(file)
    whole = bundle.read_bytes()
    for at in range(part.offset, part.offset + part.size, part.size // 23):
        data = bytearray(whole)
        data[at] ^= 0x10
        bundle.write_bytes(data)
        with pytest.raises(BundleIntegrityError, match=f"{file} .* differs from its checksum"):
            ek.load(bundle, engine=engine)
