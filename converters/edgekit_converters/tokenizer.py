"""The tokenizer that belongs to a checkpoint: found, read, and checked against the embedding table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from edgekit_converters.model import TokenizerFile
from edgekit_runtime.errors import FileError, TokenizerError
from edgekit_runtime.text import load_tokenizer

FILE_NAMES = ("tokenizer.json", "vocab.txt")
KINDS = {"WordPiece": "wordpiece", "WordLevel": "wordlevel"}
SPECIAL_TOKENS = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]",),
    "sep": ("[SEP]",),
}
PADDED_TABLE = 128
"""Tables are often rounded up to a multiple of 8, 64 or 128 rows; a larger surplus is another vocabulary."""


def find_tokenizer(given: Path | None, folder: Path) -> Path:
    """The tokenizer's file: the given file or folder, else what lies in ``folder``.

    Raises:
        FileError: The given path does not exist.
        TokenizerError: Nothing that is known as a tokenizer lies there.
    """
    place = given or folder
    if not place.exists():
        raise FileError(f"there is no tokenizer {place}; check --tokenizer")
    if place.is_file():
        return place
    for name in FILE_NAMES:
        if (place / name).is_file():
            return place / name
    raise TokenizerError(
        f"no {' or '.join(FILE_NAMES)} lies in {place}: give the one that the model was trained with by --tokenizer PATH"
    )


def read_tokenizer(path: Path, say: Callable[[str], None]) -> TokenizerFile:
    """Reads a tokenizer.json, or builds BERT's tokenizer around a vocab.txt.

    Args:
        path: The file; what it holds decides, not its name.
        say: Told of choices made for the user.

    Raises:
        TokenizerError: It is neither, or of a kind that is not supported.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read the tokenizer {path}: {error.strerror}") from error
    if data.lstrip()[:1] == b"{":
        return describe_tokenizer(data, say, str(path))
    return describe_tokenizer(_from_vocabulary(path, data, say), say, str(path))


def describe_tokenizer(data: bytes, say: Callable[[str], None], source: str) -> TokenizerFile:
    """Checks a ``tokenizer.json`` and notes what a reader must know of it.

    Raises:
        TokenizerError: It cannot be read, or is of a kind that is not supported.
    """
    tokenizer = load_tokenizer(data)
    content: dict[str, Any] = json.loads(tokenizer.to_str())
    model = content["model"]
    kind = KINDS.get(model.get("type", ""))
    if kind is None:
        raise TokenizerError(
            f"{source} is a {model.get('type')} tokenizer; supported are {', '.join(KINDS)}: "
            "a model with another tokenizer (RoBERTa, ALBERT, XLM) cannot be converted"
        )
    ids: dict[str, int] = {}
    for role, tokens in SPECIAL_TOKENS.items():
        known = [token_id for token in tokens if (token_id := tokenizer.token_to_id(token)) is not None]
        if known:
            ids[role] = known[0]
    if "pad" not in ids:
        ids["pad"] = 0
        say(f"{source} has no padding token; id 0 is used for padding")
    if kind == "wordpiece" and {"cls", "sep"} <= ids.keys() and tokenizer.post_processor is None:
        tokenizer.post_processor = _bert_template(ids)
        say(f"{source} adds no [CLS] and [SEP]; they are added, as BERT's tokenizer does")
    size = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    return TokenizerFile(tokenizer.to_str().encode(), kind, _lowers_case(tokenizer), ids, size)


def check_fits(tokenizer: TokenizerFile, rows: int, source: str, say: Callable[[str], None]) -> None:
    """Compares the vocabulary with the embedding table.

    Raises:
        TokenizerError: Ids would fall outside the table, or the table is of another vocabulary.
    """
    surplus = rows - tokenizer.size
    if surplus < 0 or surplus >= PADDED_TABLE or (surplus and rows % 8):
        raise TokenizerError(
            f"{source} has {tokenizer.size} pieces and the model's embedding table {rows} rows: "
            "it is not the tokenizer that the model was trained with; give that one by --tokenizer PATH"
        )
    if surplus:
        say(f"the embedding table has {surplus} rows more than {source} has pieces; they are taken for padding")


def _from_vocabulary(path: Path, data: bytes, say: Callable[[str], None]) -> bytes:
    """BERT's tokenizer around a vocab.txt: one piece a line, the line number is the id."""
    try:
        # some pieces are Unicode line separators, so only the line feed ends a line
        pieces = [piece.removesuffix("\r") for piece in data.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        raise TokenizerError(f"{path} is neither a tokenizer.json nor a vocab.txt in UTF-8 ({error.reason})") from error
    while pieces and not pieces[-1]:
        pieces.pop()
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    if "[UNK]" not in vocabulary:
        raise TokenizerError(
            f"{path} has no [UNK], so it is no WordPiece vocabulary; give a vocab.txt or tokenizer.json"
        )
    if len(vocabulary) != len(pieces):
        raise TokenizerError(f"{path} names {len(pieces) - len(vocabulary)} pieces twice; it is damaged")
    stated = _stated_settings(path.parent)
    lower_case = stated.get("do_lower_case")
    if lower_case is None:
        lower_case = not any(piece.isascii() and piece != piece.lower() and piece[0] != "[" for piece in pieces)
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
    present = [token for tokens in SPECIAL_TOKENS.values() for token in tokens if token in vocabulary]
    tokenizer.add_special_tokens([*present, *(["[MASK]"] if "[MASK]" in vocabulary else [])])
    if "[CLS]" in vocabulary and "[SEP]" in vocabulary:
        tokenizer.post_processor = _bert_template({"cls": vocabulary["[CLS]"], "sep": vocabulary["[SEP]"]})
    data: bytes = tokenizer.to_str().encode()
    return data


def _bert_template(ids: dict[str, int]) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["cls"]), ("[SEP]", ids["sep"])]
    )


def _stated_settings(folder: Path) -> dict[str, bool]:
    """The switches of a tokenizer_config.json beside a vocab.txt."""
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return (
        {key: value for key, value in settings.items() if isinstance(value, bool)} if isinstance(settings, dict) else {}
    )


def _lowers_case(tokenizer: Tokenizer) -> bool:
    if tokenizer.normalizer is None:
        return False
    lowered: str = tokenizer.normalizer.normalize_str("A")
    return lowered == "a"
