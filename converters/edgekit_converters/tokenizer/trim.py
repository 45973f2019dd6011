"""A vocabulary without the pieces that the data never uses: in a small model the word table is most of the file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch
from tokenizers import Tokenizer

from edgekit_converters.model import TextModel, TokenizerFile
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.families import FAMILIES
from edgekit_converters.tokenizer.bert import SPECIAL_TOKENS
from edgekit_converters.tokenizer.renumber import ids_in_use, renumbered
from edgekit_converters.tokenizer.spelling import Spelling
from edgekit_runtime.cleaning import check_cleaning, cleaner
from edgekit_runtime.errors import DataError, OptionError, TokenizerError
from edgekit_runtime.manifest import HistoryStep
from edgekit_runtime.text import load_tokenizer, well_formed

BATCH_TEXTS = 4096
RAREST = 1e-5
"""Of all pieces in the texts, a share under which a model that is trained anew does better without a piece: it hardly ever
meets it, and other pieces spell it."""


@dataclass(frozen=True)
class Trimmed:
    """A tokenizer with fewer pieces.

    Attributes:
        tokenizer: The tokenizer.
        kept: The old id of each new id, ascending.
        before: Pieces before.
    """

    tokenizer: TokenizerFile
    kept: tuple[int, ...]
    before: int


def trim(
    tokenizer: TokenizerFile,
    texts: Iterable[str],
    *,
    min_count: int = 1,
    rarest: float = 0.0,
    clean: Sequence[str] = (),
    stop_words: Sequence[str] = (),
) -> Trimmed:
    """Keeps the pieces that the texts use, and those that spell all other words.

    A text whose pieces are all kept is split as before. No word that WordPiece could spell becomes an unknown one: every
    single character is kept in both its forms, at the beginning of a word and inside it, save for forms that cannot
    occur. In a vocabulary of whole words, one that the texts do not use becomes unknown.

    Args:
        tokenizer: The whole tokenizer.
        texts: What the model is trained on.
        min_count: Pieces that the texts use less often are left out too, where other pieces can spell them.
        rarest: The same by a share of all pieces in the texts.
        clean: Names of the cleaning steps that run before the tokenizer.
        stop_words: The words that the cleaning step ``stop-words`` drops.

    Raises:
        DataError: There are no texts.
        OptionError: ``min_count`` is below 1, or the cleaning steps are wrong.
    """
    if min_count < 1:
        raise OptionError(f"a piece is used {min_count} times or more by every text; give 1 or more")
    check_cleaning(clean, stop_words)
    whole = load_tokenizer(tokenizer.json)
    counts = _counts(whole, texts, clean, stop_words)
    ids = whole.get_vocab(with_added_tokens=True)
    needed = max(min_count, rarest * counts.total())
    kept = {number for number, count in counts.items() if count >= needed}
    kept |= {ids[piece] for piece in (*SPECIAL_TOKENS, whole.model.unk_token) if piece in ids}
    kept |= {*tokenizer.special_ids.values(), *ids_in_use(tokenizer.json)}
    kept |= {ids[piece] for piece in _always(whole, tokenizer)}
    order = tuple(sorted(kept - {tokenizer.dropped}))
    new_ids = {old: new for new, old in enumerate(order)}
    if tokenizer.dropped is not None:  # it has no row in the word table: the runtime takes it out of the ids
        new_ids[tokenizer.dropped] = len(order)
    smaller = TokenizerFile(
        json=renumbered(tokenizer.json, new_ids),
        kind=tokenizer.kind,
        lower_case=tokenizer.lower_case,
        special_ids={role: new_ids[number] for role, number in tokenizer.special_ids.items()},
        size=len(order),
        dropped=None if tokenizer.dropped is None else len(order),
    )
    load_tokenizer(smaller.json)
    return Trimmed(smaller, order, tokenizer.size)


def trimmed_model(model: TextModel, trimmed: Trimmed) -> TextModel:
    """The model with a smaller tokenizer and the rows of its word table that belong to it.

    Raises:
        TokenizerError: The word table has no such rows, hence the tokenizer was another model's.
    """
    if trimmed.kept[-1] >= model.config.vocab_size:
        raise TokenizerError(
            f"the trimmed tokenizer has pieces past the {model.config.vocab_size} rows of the model's word table; "
            "trim the model's own"
        )
    table = word_table(model)
    return replace(
        model,
        config=replace(model.config, vocab_size=len(trimmed.kept)),
        weights={**model.weights, table: model.weights[table][torch.tensor(trimmed.kept)]},
        tokenizer=trimmed.tokenizer,
        history=(*model.history, HistoryStep("trim", {"pieces_before": trimmed.before, "pieces": len(trimmed.kept)})),
    )


def word_table(model: TextModel) -> str:
    """The name of the word table among a model's weights."""
    if isinstance(model.config, BertConfig):
        return FAMILIES[model.config.family].own_name("bert.embeddings.word_embeddings.weight")
    return "words.weight"


def _counts(whole: Tokenizer, texts: Iterable[str], clean: Sequence[str], stop_words: Sequence[str]) -> Counter[int]:
    run = cleaner(clean, stop_words)
    ready: Iterator[str] = map(well_formed, texts)
    if run is not None:
        ready = map(run, ready)
    counts: Counter[int] = Counter()
    some = False
    while batch := list(islice(ready, BATCH_TEXTS)):
        some = True
        for encoding in whole.encode_batch(batch, add_special_tokens=False):
            counts.update(encoding.ids)
    if not some:
        raise DataError("there are no texts that show which pieces are used; give those that the model is trained on")
    return counts


def _always(whole: Tokenizer, tokenizer: TokenizerFile) -> set[str]:
    """Pieces that are kept although no text uses them."""
    pieces = whole.get_vocab(with_added_tokens=False)
    if tokenizer.kind != "wordpiece":
        return {piece for piece in pieces if len(piece) == 1}
    prefix = json.loads(tokenizer.json)["model"]["continuing_subword_prefix"]
    spelling = Spelling(pieces, whole, prefix)
    return spelling.letters() | spelling.irreplaceable()
