"""A tokenizer.json with fewer pieces and new ids."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def renumbered(tokenizer_json: bytes, new_ids: Mapping[int, int]) -> bytes:
    """The same tokenizer with those pieces alone that have a new id.

    Its own padding and truncation, which no reader here heeds, are left out.

    Args:
        tokenizer_json: A WordPiece or WordLevel ``tokenizer.json``.
        new_ids: Old id to new id; has all ids of :func:`ids_in_use`.
    """
    content = json.loads(tokenizer_json)
    vocabulary = sorted((new_ids[old], piece) for piece, old in content["model"]["vocab"].items() if old in new_ids)
    content["model"]["vocab"] = {piece: number for number, piece in vocabulary}
    for token in content["added_tokens"]:
        token["id"] = new_ids[token["id"]]
    for step in _steps(content):
        for name in ("sep", "cls"):
            if name in step:
                step[name][1] = new_ids[step[name][1]]
        for token in step.get("special_tokens", {}).values():
            token["ids"] = [new_ids[number] for number in token["ids"]]
    content["padding"] = content["truncation"] = None
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def ids_in_use(tokenizer_json: bytes) -> set[int]:
    """Ids that a tokenizer itself needs: of added tokens, and of those that it puts around a text."""
    content = json.loads(tokenizer_json)
    ids = {token["id"] for token in content["added_tokens"]}
    for step in _steps(content):
        ids |= {step[name][1] for name in ("sep", "cls") if name in step}
        ids |= {number for token in step.get("special_tokens", {}).values() for number in token["ids"]}
    return ids


def _steps(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps that come after the split: BertProcessing and RobertaProcessing, TemplateProcessing, or several."""
    step = content["post_processor"] or {}
    yield from step.get("processors", [step])
