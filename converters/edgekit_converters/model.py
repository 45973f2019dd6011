"""TextModel: a fine-tuned classifier as every stage takes and returns it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from edgekit_converters.networks.bert import Bert, BertConfig, load_bert
from edgekit_converters.networks.cnn import Cnn, CnnConfig, load_cnn
from edgekit_runtime.cleaning import check_cleaning
from edgekit_runtime.manifest import HistoryStep, TextSpec

DEFAULT_MAX_LENGTH = 128
LONGEST = 4096
"""No text is padded to more tokens: a program of such a length takes gigabytes to make."""

DEFAULT_BUCKETS = (16, 32, 64, 128)


@dataclass(frozen=True)
class TokenizerFile:
    """A tokenizer and what a reader must know of it.

    Attributes:
        json: A Hugging Face ``tokenizer.json``.
        kind: ``wordpiece``, ``wordlevel`` or ``char``.
        lower_case: Whether it lowers case.
        special_ids: Ids of ``pad``, ``unk``, ``cls`` and ``sep``, those that it has; ``pad`` always.
        size: One more than its highest id that a text can have.
        dropped: Id that it gives to unknown words, which then are dropped; None if they count.
    """

    json: bytes
    kind: str
    lower_case: bool
    special_ids: dict[str, int]
    size: int
    dropped: int | None = None


@dataclass(frozen=True)
class TextModel:
    """A classifier: sizes, weights, tokenizer and labels.

    Attributes:
        name: A short name, from the checkpoint's file.
        config: Sizes; their type says the architecture.
        weights: float32 tensors: a BERT's under Hugging Face's names, a CNN's under those of ``networks.cnn``.
        tokenizer: Its tokenizer.
        labels: Names of the classes, in the order of the logits.
        pad_to: Length to which the CNN's training padded short texts, in tokens; None if it did not.
        clean: Names of the cleaning steps that run before the tokenizer, as they did in training.
        history: The stages that it has been through.
        stop_words: The words that the cleaning step ``stop-words`` drops.

    Raises:
        OptionError: There is no such cleaning step, or the stop words do not go with the steps.
    """

    name: str
    config: BertConfig | CnnConfig
    weights: Mapping[str, Tensor]
    tokenizer: TokenizerFile
    labels: tuple[str, ...]
    pad_to: int | None = None
    clean: tuple[str, ...] = ()
    history: tuple[HistoryStep, ...] = ()
    stop_words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_cleaning(self.clean, self.stop_words)

    @property
    def architecture(self) -> str:
        """``bert`` or ``cnn``."""
        return "bert" if isinstance(self.config, BertConfig) else "cnn"

    @property
    def parameters(self) -> int:
        """How many numbers it has learned."""
        return sum(tensor.numel() for tensor in self.weights.values())

    @property
    def position_limit(self) -> int | None:
        """Longest input in tokens that the network can take; None if there is no limit."""
        return self.config.positions if isinstance(self.config, BertConfig) else None

    @property
    def min_length(self) -> int:
        """Length to which shorter texts are padded, the padding counting as text: a CNN's widest kernel, or more."""
        if isinstance(self.config, BertConfig):
            return 1
        return max(self.config.min_length, self.pad_to or 1)

    @property
    def default_max_length(self) -> int:
        """Tokens at which its texts are cut where nobody says: 128, or what the network can take."""
        return min(max(DEFAULT_MAX_LENGTH, self.min_length), self.position_limit or LONGEST)

    def network(self) -> Bert | Cnn:
        """The network that gets lowered, in evaluation mode."""
        if isinstance(self.config, BertConfig):
            return load_bert(self.config, self.weights)
        return load_cnn(self.config, self.weights)

    def text_spec(self, max_length: int, buckets: tuple[int, ...]) -> TextSpec:
        """How text becomes ids on the device."""
        return TextSpec(
            tokenizer="tokenizer.json",
            kind=self.tokenizer.kind,
            lower_case=self.tokenizer.lower_case,
            max_length=max_length,
            buckets=buckets,
            special_ids=self.tokenizer.special_ids,
            clean=self.clean,
            stop_words=self.stop_words,
            min_length=self.min_length,
            dropped=self.tokenizer.dropped,
            vocab_size=self.config.vocab_size,
        )
