"""BERT's tokenizer, WordPiece, around a vocabulary."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from edgekit_runtime.filepart import file_bytes

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def is_wordpiece(vocabulary: Mapping[str, int]) -> bool:
    """Whether a list is a WordPiece vocabulary rather than one of whole words."""
    return "[UNK]" in vocabulary and (
        {"[CLS]", "[SEP]"} <= vocabulary.keys() or any(piece.startswith("##") for piece in vocabulary)
    )


def from_vocabulary(path: Path, vocabulary: dict[str, int], say: Callable[[str], None]) -> bytes:
    """The ``tokenizer.json`` for a vocab.txt: cased or uncased by a tokenizer_config.json beside it, else by its pieces."""
    stated = _stated_settings(path.parent)
    lower_case = stated.get("do_lower_case")
    if lower_case is None:
        lower_case = not any(piece.isascii() and piece != piece.lower() and piece[0] != "[" for piece in vocabulary)
        say(f"{path.name} is taken for {'uncased' if lower_case else 'cased'}, judging by its pieces")
    return bert_tokenizer(
        vocabulary,
        lower_case=lower_case,
        strip_accents=stated.get("strip_accents"),
        split_chinese=stated.get("tokenize_chinese_chars", True),
    )


def bert_tokenizer(
    vocabulary: dict[str, int], *, lower_case: bool, strip_accents: bool | None = None, split_chinese: bool = True
) -> bytes:
    """The ``tokenizer.json`` of BERT's tokenizer with a vocabulary; accents are stripped with the case by default."""
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=lower_case, strip_accents=strip_accents, handle_chinese_chars=split_chinese
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([token for token in SPECIAL_TOKENS if token in vocabulary])
    if "[CLS]" in vocabulary and "[SEP]" in vocabulary:
        tokenizer.post_processor = bert_template(vocabulary["[CLS]"], vocabulary["[SEP]"])
    data: bytes = tokenizer.to_str().encode()
    return data


def bert_template(cls_id: int, sep_id: int) -> processors.TemplateProcessing:
    """Puts [CLS] before a text and [SEP] behind it."""
    return processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", cls_id), ("[SEP]", sep_id)])


def _stated_settings(folder: Path) -> dict[str, bool]:
    """The switches of a tokenizer_config.json beside a vocab.txt."""
    try:
        settings = json.loads(file_bytes(folder / "tokenizer_config.json"))
    except (OSError, ValueError, RecursionError):
        return {}
    return (
        {key: value for key, value in settings.items() if isinstance(value, bool)} if isinstance(settings, dict) else {}
    )
