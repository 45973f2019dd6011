"""The tokenizer that belongs to a checkpoint: found, read, and checked against the embedding table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from edgekit_converters.model import TokenizerFile
from edgekit_converters.tokenizer.bert import bert_template, from_vocabulary, is_wordpiece
from edgekit_converters.tokenizer.keras import checked_ids, from_keras
from edgekit_converters.tokenizer.word_level import DROPPED, EVERY_CHARACTER, isolated
from edgekit_converters.tokenizer.word_list import PADDING, UNKNOWN, from_ids, from_lines
from edgekit_runtime.errors import FileError, TokenizerError
from edgekit_runtime.filepart import file_bytes
from edgekit_runtime.text import load_tokenizer
from edgekit_runtime.wordpiece import special_ends

FILE_NAMES = ("tokenizer.json", "vocab.txt")
"""The two forms of one vocabulary in a Hugging Face folder; the first is taken."""

LIST_NAMES = (
    *("words.txt", "word_list.txt", "wordlist.txt", "vocabulary.txt", "chars.txt", "characters.txt"),
    *("vocab.json", "vocabulary.json", "word_index.json", "word2idx.json", "word2id.json", "word_to_index.json"),
    *("char_index.json", "char2idx.json", "char2id.json", "keras_tokenizer.json", "tokenizer_keras.json"),
)
"""How word lists, character lists and what Keras leaves are usually called."""

KINDS = {"WordPiece": "wordpiece", "WordLevel": "wordlevel"}
SPECIAL_TOKENS = {"pad": PADDING, "unk": UNKNOWN, "cls": ("[CLS]",), "sep": ("[SEP]",)}
PADDED_TABLE = 128
"""Tables are often rounded up to a multiple of 8, 64 or 128 rows; a larger surplus is another vocabulary."""


def find_tokenizer(given: Path | None, folder: Path) -> Path:
    """The tokenizer's file: the given file or folder, else what lies in ``folder``.

    Raises:
        FileError: The given path does not exist, or cannot be read.
        TokenizerError: Nothing that is known as a tokenizer lies there, or several that differ.
    """
    place = given or folder
    if not place.exists():
        raise FileError(f"there is no tokenizer {place}; check --tokenizer")
    if place.is_file():
        return place
    found = [place / name for name in FILE_NAMES if (place / name).is_file()][:1]
    found += [place / name for name in LIST_NAMES if (place / name).is_file()]
    if not found:
        raise TokenizerError(
            f"no {' or '.join(FILE_NAMES)} lies in {place}, and no word list ({LIST_NAMES[0]}, word_index.json, …): "
            "give the one that the model was trained with by --tokenizer PATH"
        )
    if len({_read(path) for path in found}) > 1:
        raise TokenizerError(
            f"{place} holds several tokenizers that differ ({', '.join(path.name for path in found)}): "
            "give the one that the model was trained with by --tokenizer PATH"
        )
    return found[0]


def read_tokenizer(path: Path, say: Callable[[str], None]) -> TokenizerFile:
    """Reads a tokenizer.json, or builds the tokenizer of a vocab.txt, a word list or what Keras leaves.

    Args:
        path: The file; what it holds decides, not its name.
        say: Told of choices made for the user.

    Raises:
        FileError: It cannot be read.
        TokenizerError: It is none of these, or of a kind that is not supported.
    """
    data = _read(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TokenizerError(f"{path} is no tokenizer in UTF-8 ({error.reason}); save it anew") from error
    content = _json_content(path, text)
    if content is None:
        # some pieces are Unicode line separators, so only the line feed ends a line
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        while lines and not lines[-1]:
            lines.pop()
        vocabulary = {piece: index for index, piece in enumerate(lines)}
        if is_wordpiece(vocabulary):
            if len(vocabulary) != len(lines):
                raise TokenizerError(f"{path} names {len(lines) - len(vocabulary)} pieces twice; it is damaged")
            data = from_vocabulary(path, vocabulary, say)
        else:
            data = from_lines(lines, str(path), say)
    elif "class_name" in content and isinstance(content.get("config"), dict):
        data = from_keras(content, str(path), say)
    elif not isinstance(content.get("model"), dict):
        ids = checked_ids(content, str(path))
        data = from_vocabulary(path, ids, say) if is_wordpiece(ids) else from_ids(ids, str(path), say)
    return describe_tokenizer(data, say, str(path))


def describe_tokenizer(data: bytes, say: Callable[[str], None], source: str) -> TokenizerFile:
    """Checks a ``tokenizer.json`` and notes what a reader must know of it.

    Raises:
        TokenizerError: It cannot be read, or is of a kind that is not supported.
    """
    tokenizer = load_tokenizer(data)
    model = type(tokenizer.model).__name__
    kind = KINDS.get(model)
    if kind is None:
        raise TokenizerError(
            f"{source} is a {model} tokenizer; supported are {', '.join(KINDS)}: "
            "a model with another tokenizer (RoBERTa, ALBERT, XLM) cannot be converted"
        )
    if kind == "wordlevel" and _parts_every_character(data):
        kind = "char"
    ids: dict[str, int] = {}
    for role, tokens in {**SPECIAL_TOKENS, "unk": (tokenizer.model.unk_token, *UNKNOWN)}.items():
        known = [token_id for token in tokens if (token_id := tokenizer.token_to_id(token)) is not None]
        if known:
            ids[role] = known[0]
    dropped = ids.pop("unk") if tokenizer.model.unk_token == DROPPED and "unk" in ids else None
    if "pad" not in ids:
        ids["pad"] = 0
        if tokenizer.id_to_token(0) is not None:  # where ids begin at 1, 0 is the padding's by custom
            say(f"{source} has no padding token; id 0 is used for padding")
    if kind == "wordpiece" and {"cls", "sep"} <= ids.keys() and tokenizer.post_processor is None:
        tokenizer.post_processor = bert_template(ids["cls"], ids["sep"])
        data = tokenizer.to_str().encode()
        say(f"{source} adds no [CLS] and [SEP]; they are added, as BERT's tokenizer does")
    special_ends(tokenizer)
    pieces = tokenizer.get_vocab(with_added_tokens=True).values()
    size = 1 + max((number for number in pieces if number != dropped), default=-1)
    return TokenizerFile(data, kind, _lowers_case(tokenizer), ids, size, dropped)


def check_fits(tokenizer: TokenizerFile, rows: int, source: str, say: Callable[[str], None]) -> None:
    """Compares the vocabulary with the embedding table.

    Raises:
        TokenizerError: Ids would fall outside the table, or the table is of another vocabulary.
    """
    surplus = rows - tokenizer.size
    if not surplus:
        return
    read = load_tokenizer(tokenizer.json)
    sizes = f"{source} has {tokenizer.size} pieces and the model's embedding table {rows} rows"
    if tokenizer.kind != "wordpiece" and read.id_to_token(0) is None:
        if surplus < 0:
            raise TokenizerError(
                f"{sizes}: for Keras with num_words give what its tokenizer.to_json() returned, else cut it"
            )
        say(f"the embedding table has {surplus} rows more than {source} has ids; no text will use them")
        return
    late = [token.content for number, token in sorted(read.get_added_tokens_decoder().items()) if number >= rows]
    if late and max(read.get_vocab(with_added_tokens=False).values(), default=-1) < rows:
        raise TokenizerError(
            f"{source} adds tokens past the {rows} rows of the model's embedding table ({', '.join(late)}): take them out "
            "of its added_tokens, or give the tokenizer that the model was trained with by --tokenizer PATH"
        )
    padding = any(read.token_to_id(token) is not None for token in PADDING)
    missing = [*([] if padding else ["<pad>"]), *([] if "unk" in tokenizer.special_ids else ["<unk>"])]
    if tokenizer.kind != "wordpiece" and missing and surplus in (1, 2):
        raise TokenizerError(
            f"{sizes}: if the training kept ids for padding or unknown words, put {' and '.join(missing)} into the list "
            "where their ids are, 0 being the first line"
        )
    if surplus < 0 or surplus >= PADDED_TABLE or rows % 8:
        raise TokenizerError(
            f"{sizes}: it is not the tokenizer that the model was trained with; give that one by --tokenizer PATH"
        )
    say(f"the embedding table has {surplus} rows more than {source} has pieces; they are taken for padding")


def _read(path: Path) -> bytes:
    try:
        return file_bytes(path)
    except OSError as error:
        raise FileError(f"cannot read the tokenizer {path}: {error.strerror}") from error


def _json_content(path: Path, text: str) -> dict[str, Any] | None:
    """The object that a JSON file holds, or None if it is a list with one piece a line."""
    stated = path.suffix == ".json"
    if not stated and text.lstrip()[:1] not in ("{", '"'):
        return None
    try:
        content = json.loads(text)
        if isinstance(content, str):  # to_json() gave a string, and json.dump wrote that once more
            content = json.loads(content)
    except (ValueError, RecursionError) as error:
        if path.suffix == ".txt":
            return None
        raise TokenizerError(f"{path} cannot be read as JSON ({error}); copy it again, or save it anew") from error
    if not isinstance(content, dict):
        if path.suffix == ".txt":
            return None
        raise TokenizerError(f"{path} holds no JSON object; give a tokenizer.json, or an object word → id")
    return content


def _parts_every_character(tokenizer_json: bytes) -> bool:
    step = json.loads(tokenizer_json).get("pre_tokenizer") or {}
    last = (step.get("pretokenizers") or [step])[-1]
    return bool(last == isolated(EVERY_CHARACTER))


def _lowers_case(tokenizer: Tokenizer) -> bool:
    if tokenizer.normalizer is None:
        return False
    lowered: str = tokenizer.normalizer.normalize_str("A")
    return lowered == "a"
