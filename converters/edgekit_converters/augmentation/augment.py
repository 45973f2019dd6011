"""New texts out of given ones, for a teacher to label (Tang et al. 2019, arXiv 1903.12136, and what others added)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from edgekit_converters.augmentation.units import has_word, is_unspaced, units, with_pairs
from edgekit_converters.augmentation.word_kinds import Ids, WordKinds
from edgekit_runtime.errors import OptionError


@dataclass(frozen=True)
class AugmentSettings:
    """How new texts are made.

    Each copy of a text has some words masked and some swapped, and then it may be cut, or joined with another. A word is
    a word between spaces; in Chinese two characters that belong together, or one that stands alone.

    Attributes:
        copies: How many are tried of each text. Copies that are equal to a text or to each other are left out.
        mask: Share of words that become the mask token, or are dropped where there is none.
        swap: Share of words that become another of the same kind (``augmentation.word_kinds``).
        ngram: Share of copies of which only 1 to ``longest_ngram`` words in a row remain.
        longest_ngram: Most words of such a copy.
        crop: Share of copies of which half the words or more, in a row, remain.
        join: Share of copies that another text's copy is put behind.

    Raises:
        OptionError: A share is not between 0 and 1, shares that exclude each other add up to more, or a number is too small.
    """

    copies: int = 4
    mask: float = 0.1
    swap: float = 0.1
    ngram: float = 0.25
    longest_ngram: int = 5
    crop: float = 0.1
    join: float = 0.1

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(entry.default, float) and not 0 <= value <= 1:
                raise OptionError(f"{entry.name} is {value}, and is a share: give a number from 0 to 1")
        if self.mask + self.swap > 1:
            raise OptionError(f"mask {self.mask} and swap {self.swap} are more than all words; lower one")
        if self.ngram + self.crop + self.join > 1:
            raise OptionError(
                f"ngram {self.ngram}, crop {self.crop} and join {self.join} are more than all copies; lower one"
            )
        if self.copies < 0 or self.longest_ngram < 1:
            raise OptionError(
                f"copies is {self.copies} and longest_ngram {self.longest_ngram}; give 0 or more and 1 or more"
            )


def augment(texts: Sequence[str], settings: AugmentSettings, *, mask_token: str | None, seed: int) -> list[str]:
    """New texts only: none is given twice, none is one of ``texts``, and none is without words.

    Args:
        texts: The texts.
        settings: How they are changed.
        mask_token: The tokenizer's token for a hidden word; None drops such words.
        seed: The same seed makes the same texts of the same texts.
    """
    corpus = _Corpus.of(texts)
    if not settings.copies or not len(corpus.lengths):
        return []
    rng = np.random.default_rng(seed)
    kinds = WordKinds(corpus.words, corpus.counts, corpus.with_edges())
    met = {text.strip() for text in texts}
    made = []
    for _ in range(settings.copies):
        pieces = _changed_words(corpus, kinds, settings, mask_token, rng)
        for text in _cut_and_joined(corpus, pieces, settings, rng):
            text = text.strip()
            if text not in met and has_word(text if mask_token is None else text.replace(mask_token, "")):
                met.add(text)
                made.append(text)
    return made


@dataclass(frozen=True)
class _Corpus:
    """Texts as ids of words, one after the other.

    Attributes:
        words: The words, most frequent first.
        counts: (words,) how often each occurs.
        ids: (n,) ids of all words of all texts that have any.
        gaps: The white space before each.
        lengths: (texts,) words of each text.
    """

    words: list[str]
    counts: Ids
    ids: Ids
    gaps: list[str]
    lengths: Ids

    @staticmethod
    def of(texts: Sequence[str]) -> _Corpus:
        parts = [part for part in with_pairs([units(text) for text in texts]) if part]
        flat = list(itertools.chain.from_iterable(parts))
        counts = Counter(unit.text for unit in flat).most_common()
        number = {word: place for place, (word, _) in enumerate(counts)}
        return _Corpus(
            words=list(number),
            counts=np.array([count for _, count in counts], dtype=np.int64),
            ids=np.array([number[unit.text] for unit in flat], dtype=np.int64),
            gaps=[unit.gap for unit in flat],
            lengths=np.array([len(part) for part in parts], dtype=np.int64),
        )

    def with_edges(self) -> Ids:
        """The ids with ``len(words)`` before, between and behind the texts."""
        begins = np.cumsum(self.lengths) - self.lengths
        return np.append(np.insert(self.ids, begins, len(self.words)), len(self.words))


def _changed_words(
    corpus: _Corpus, kinds: WordKinds, settings: AugmentSettings, mask_token: str | None, rng: np.random.Generator
) -> list[str]:
    """Every word with the white space before it, some of them masked and some swapped."""
    draw = rng.random(len(corpus.ids))
    word = np.array([has_word(text) for text in corpus.words], dtype=np.bool_)[corpus.ids]
    masked = word & (draw < settings.mask)
    swapped = (draw >= settings.mask) & (draw < settings.mask + settings.swap) & kinds.has_kind(corpus.ids)
    ids = corpus.ids.copy()
    ids[swapped] = kinds.draw(ids[swapped], rng)
    ids[masked] = len(corpus.words)
    names = np.array([*corpus.words, mask_token], dtype=object)
    return ["" if name is None else gap + name for gap, name in zip(corpus.gaps, names[ids].tolist(), strict=True)]


def _cut_and_joined(
    corpus: _Corpus, pieces: list[str], settings: AugmentSettings, rng: np.random.Generator
) -> Iterator[str]:
    lengths = corpus.lengths
    begins = np.cumsum(lengths) - lengths
    draw = rng.random(len(lengths))
    short = draw < settings.ngram
    cropped = ~short & (draw < settings.ngram + settings.crop)
    joined = ~short & ~cropped & (draw < settings.ngram + settings.crop + settings.join)
    left = np.where(short, np.minimum(lengths, rng.integers(1, settings.longest_ngram + 1, len(lengths))), lengths)
    left = np.where(cropped, np.ceil(lengths * rng.uniform(0.5, 1.0, len(lengths))).astype(np.int64), left)
    begins_at = begins + rng.integers(0, lengths - left + 1)
    others = rng.integers(0, len(lengths), len(lengths))
    for begin, end, is_joined, other in zip(
        begins_at.tolist(), (begins_at + left).tolist(), joined.tolist(), others.tolist(), strict=True
    ):
        text = "".join(pieces[begin:end])
        if is_joined:
            behind = "".join(pieces[begins[other] : begins[other] + lengths[other]]).lstrip()
            text += ("" if is_unspaced(behind) else " ") + behind
        yield text
