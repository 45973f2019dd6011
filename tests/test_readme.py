"""The README and its translation: the same commands and code, and links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and code of every fenced block, without its comments, which are translated."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(language, re.sub(r"[ \t]+# .*", "", code)) for language, code in found]


def test_both_readmes_show_the_same_commands_and_code() -> None:
    english, chinese = (blocks(path.read_text(encoding="utf-8")) for path in (ENGLISH, CHINESE))
    assert chinese == english
    assert {"console", "python"} <= {language for language, _ in english}


def test_a_command_that_drifts_is_seen_and_a_comment_that_is_translated_is_not() -> None:
    text = "```console\n$ make demo    # takes minutes\n```\n"
    assert blocks(text) == blocks(text.replace("takes minutes", "需要几分钟"))
    assert blocks(text) != blocks(text.replace("demo", "test"))


@pytest.mark.parametrize("path", [ENGLISH, CHINESE], ids=lambda path: path.name)
def test_links_lead_to_files(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
    assert links
    assert not [link for link in links if not (ROOT / link).is_file()]
