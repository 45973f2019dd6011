"""What Keras leaves of its Tokenizer: the whole of it by ``to_json()``, or its ``word_index`` alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgekit_converters.tokenizer.word_level import EVERY_CHARACTER, any_of, isolated, removed, word_level
from edgekit_converters.tokenizer.word_list import KERAS_FILTERS, Say, fate, refuse_what_needs_a_segmenter
from edgekit_runtime.errors import TokenizerError


def from_keras(content: Mapping[str, Any], source: str, say: Say) -> bytes:
    """A ``tokenizer.json`` that gives the ids of Keras' ``texts_to_sequences``.

    Args:
        content: What ``tokenizer.to_json()`` gave.
        source: Its name, for messages.
        say: Told of what was taken.

    Raises:
        TokenizerError: It is damaged, or asks for what is not supported.
    """
    config = content.get("config")
    if content.get("class_name") != "Tokenizer" or not isinstance(config, dict):
        raise TokenizerError(
            f"{source} is a {content.get('class_name')} and no Tokenizer of Keras; give its word_index"
        )
    try:
        stored = config["word_index"]
        index = checked_ids(json.loads(stored) if isinstance(stored, str) else stored, source)
    except (KeyError, ValueError, RecursionError) as error:
        raise TokenizerError(f"{source} has no word_index ({error}); save the tokenizer anew by to_json()") from error
    limit, oov, split = config.get("num_words"), config.get("oov_token"), config.get("split", " ")
    filters, by_character = config.get("filters", KERAS_FILTERS), config.get("char_level", False)
    if not isinstance(limit, int | None) or not isinstance(filters, str) or not isinstance(split, str):
        raise TokenizerError(f"{source} has a broken num_words, filters or split; save the tokenizer anew by to_json()")
    if oov is not None and (not isinstance(oov, str) or oov not in index):
        raise TokenizerError(
            f"{source} has no index for its oov_token {oov!r}; fit the tokenizer on texts, save it anew"
        )
    if by_character:
        parts = isolated(EVERY_CHARACTER)
    elif len(split) == 1:
        refuse_what_needs_a_segmenter(index, source)
        parts = removed(any_of(filters + split))
    else:
        raise TokenizerError(f"{source} parts words at {split!r}; only a single character is supported there")
    kept = {word: number for word, number in index.items() if not limit or number < limit or word == oov}
    say(f"{source} is Keras' Tokenizer: {len(kept)} {'characters' if by_character else 'words'}; {fate(oov)}")
    return word_level(kept, oov, [parts], lower=bool(config.get("lower", True)))


def checked_ids(content: object, source: str) -> dict[str, int]:
    """An object word → id whose ids are whole numbers from 0 or 1, without gaps.

    Raises:
        TokenizerError: It is none; the message names the word.
    """
    if not isinstance(content, dict) or not content:
        raise TokenizerError(f"{source} holds no object word → id; give a tokenizer.json, a word list or a word_index")
    words: dict[int, str] = {}
    for word, number in content.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise TokenizerError(f"{source} has {json.dumps(number)[:30]} for {word!r}; ids are whole numbers from 0")
        if words.setdefault(number, word) != word:
            raise TokenizerError(f"{source} gives the id {number} to {words[number]!r} and to {word!r}; it is damaged")
    first, last = min(words), max(words)
    if first > 1:
        raise TokenizerError(
            f"the ids of {source} begin at {first}: put what stands before them into it, such as <pad> 0 and <unk> 1"
        )
    if last - first >= len(words):
        gap = next(number for number in range(first, last) if number not in words)
        raise TokenizerError(f"{source} has no piece with the id {gap}, but ids up to {last}; give the whole list")
    return content
