"""What a step of training costs on one thread: bare torch, with transformers.Trainer around it, and in bfloat16.

python benchmarks/training_cost.py [--rows 12800]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

from edgekit_converters.model import TextModel, TokenizerFile
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import CnnConfig
from edgekit_converters.training.batches import Shuffled
from edgekit_converters.training.examples import Rows
from edgekit_converters.training.learners import fresh_weights, learner_of
from edgekit_converters.training.loop import train
from edgekit_converters.training.objective import CrossEntropy
from edgekit_converters.training.optimizers import optimizer_of
from edgekit_converters.training.settings import TrainSettings

VOCABULARY = 11_575
CNN = CnnConfig(VOCABULARY, 64, (1, 2, 3, 4, 5), (100,) * 5, 2)
BERT = BertConfig(VOCABULARY, 384, 6, 12, 1536, 512, 2)
TOKENIZER = TokenizerFile(b"", "wordpiece", True, {"pad": 0}, VOCABULARY)


class Silent:
    """A listener that keeps still."""

    def stage(self, title: str) -> None: ...
    def progress(self, done: int, total: int) -> None: ...
    def say(self, message: str) -> None: ...


def random_rows(count: int, mean: int) -> Rows:
    """Rows of random pieces, of about ``mean`` tokens."""
    lot = np.random.default_rng(0)
    lengths = np.clip(lot.poisson(mean, count), 1, 128)
    return Rows(
        [lot.integers(0, VOCABULARY, length).tolist() for length in lengths], lot.integers(0, 2, count).tolist()
    )


def bare_ms(model: TextModel, rows: Rows, settings: TrainSettings) -> float:
    """Median milliseconds of the processor for a step: forward, backward, clip, optimiser."""
    module = learner_of(model, CrossEntropy()).module.train()
    optimizer = optimizer_of(module, settings, 1e-3)
    order, times = list(Shuffled(rows, settings.batch_size, 1)), []
    for begin in range(0, len(rows), settings.batch_size):
        batch = rows.batch(order[begin : begin + settings.batch_size], 0)
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=bool(settings.bf16)):
            loss = module(**batch)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), settings.clip)
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.process_time() - start)
    return 1e3 * statistics.median(times)


class Timed(Silent):
    """A listener that notes the processor's time at every step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def progress(self, done: int, total: int) -> None:
        self.times.append(time.process_time())


def trained_ms(model: TextModel, rows: Rows, settings: TrainSettings) -> float:
    """The same for a step of ``train``, with its batches, schedule and callbacks."""
    timed = Timed()
    few = Rows([row["input_ids"] for row in rows[:64]], [row["labels"] for row in rows[:64]])
    module = learner_of(model, CrossEntropy()).module
    train(module, rows, few, settings, learning_rate=1e-3, pad_id=0, checkpoints=None, listener=timed)
    return 1e3 * float(np.median(np.diff(timed.times)))


def main() -> None:
    """Prints the table of docs/training.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=12800)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    print("| step | bf16 | bare ms | with Trainer ms | overhead |\n| --- | --- | ---: | ---: | ---: |")
    for name, config, batch, length, count in (
        ("CNN, 256 texts of 12 tokens", CNN, 256, 12, wanted.rows),
        ("CNN, 256 texts of 40 tokens", CNN, 256, 40, wanted.rows),
        ("6-layer BERT, 32 texts of 24 tokens", BERT, 32, 24, wanted.rows // 20),
    ):
        model = TextModel("x", config, fresh_weights(config, 0), TOKENIZER, ("negative", "positive"))
        rows = random_rows(count, length)
        for bf16 in (False, True):
            settings = TrainSettings(epochs=1, batch_size=batch, bf16=bf16)
            bare, trained = bare_ms(model, rows, settings), trained_ms(model, rows, settings)
            print(f"| {name} | {'yes' if bf16 else 'no'} | {bare:.1f} | {trained:.1f} | {trained / bare - 1:+.0%} |")


if __name__ == "__main__":
    main()
