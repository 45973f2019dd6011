"""Texts of edgekit's own, English and Chinese: what a conversion without labelled data is checked on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from edgekit_runtime.manifest import TextSpec

_THINGS = ("film", "room", "phone", "meal", "story", "service")
_PRAISE = (
    "The {} was wonderful.",
    "I loved this {}, every minute of it!",
    "A warm, clever and generous {}; I would gladly come back tomorrow.",
    "Not perfect, but this {} won me over in the end.",
    "The best {} I have seen in years, carefully made and honest from beginning to end, and worth every cent.",
)
_BLAME = (
    "The {} was terrible.",
    "What a dull {}...",
    "I wanted to like this {}, but it never gave me a reason to.",
    "Avoid this {} at all costs: slow, noisy and far too expensive!",
    "Nobody seems to have cared about this {}, and after an hour of waiting in the cold neither did we.",
)
_MIXED = (
    "The {} is fine, I suppose.",
    "Some will enjoy this {} 👍, others will want their money back 👎.",
    "Is this the {} everybody talks about?",
)
_CHINESE_THINGS = ("电影", "房间", "手机", "饭菜", "故事", "服务")
_CHINESE = (
    "这个{}非常好。",
    "我很喜欢这个{}，下次还会再来！",
    "{}一般，没有想象中那么好。",
    "这个{}太差了，完全不值这个价钱。",
    "等了一个小时，{}还是让人失望，以后不会再来了。",
    "朋友推荐的{}果然不错，环境干净，态度热情，价格也很合理，推荐给大家。",
    "说实话，这个{}既不好也不坏，只能说勉强可以接受吧。",
)
_CLEANED = {
    "html": "<!-- review --><p>The film was <b>wonderful</b>:<br/>warm &amp; clever&#33;</p>",
    "urls": "The film was good, see https://example.com/film?id=1 or www.example.com.",
    "handles": "@anna the film was good, 谢谢 @小明",
    "full-width": "Ｔｈｅ　ｆｉｌｍ　ｗａｓ　ｇｏｏｄ！",
    "simplified": "這個電影非常好，歡迎觀賞。",
    "stop-words": "The film was good, {}.",
}
"""For each cleaning step a text that it changes."""

_ODD = (
    "",
    " ",
    "?!",
    "ok",
    "👍👍👍",
    "not bad at all",
    "Café déjà vu, naïve façade — señor",
    "I paid $12.50 on 3/4/2021 (incl. 19 % tax) for a 2-hour show; see page 7.",
    "supercalifragilisticexpialidocious" * 4,
    "GREAT GREAT GREAT!!! 10/10",
    "很好 but a little slow",
    "Превосходно",
)


def sample_texts() -> list[str]:
    """Over 200 different texts of one to thirty words, always the same ones in the same order."""
    english = [form.format(thing) for form, thing in product((*_PRAISE, *_BLAME, *_MIXED), _THINGS)]
    chinese = [form.format(thing) for form, thing in product(_CHINESE, _CHINESE_THINGS)]
    pairs = [f"{first} {second}" for first, second in zip(english, english[7:] + english[:7], strict=True)]
    return [*english, *chinese, *pairs, *_ODD]


def golden_texts(count_tokens: Callable[[str], int], spec: TextSpec, words: Sequence[str] = ()) -> list[str]:
    """Texts for a bundle's self-test.

    Each bucket is met in English and in Chinese, where a text can be that short, and each cleaning step has work to do.

    Args:
        count_tokens: Length of a text in tokens, cleaned, before it is cut.
        spec: The padded lengths and the cleaning.
        words: The vocabulary: where the tokenizer drops the words of these texts, some of its own fill them up.
    """
    english = [form.format(thing) for form, thing in zip(_PRAISE + _BLAME, _THINGS * 2, strict=False)]
    chinese = [form.format(thing) for form, thing in zip(_CHINESE, _CHINESE_THINGS * 2, strict=False)]
    filler = next((word for word in ("ok", *words) if count_tokens(f"{word} {word}") > count_tokens(word)), "ok")
    texts = ["", "ok", "👍 not bad at all"]
    texts += [_CLEANED[step].format(" ".join(spec.stop_words[:8])) for step in spec.clean]
    floor = 0
    for bucket in spec.buckets:
        for sentences, gap in ((english, " "), (chinese, "")):
            text = _of_length(sentences, gap, filler, floor, bucket, count_tokens)
            if text is not None:
                texts.append(text)
        floor = bucket
    long = " ".join(english * 40)[: 40 * floor]  # over every limit, so that cutting is tested too
    texts.append(long if count_tokens(long) > floor else " ".join([filler] * (floor + 1)))
    return list(dict.fromkeys(texts))


def _of_length(
    sentences: Sequence[str], gap: str, filler: str, floor: int, ceiling: int, count_tokens: Callable[[str], int]
) -> str | None:
    """Sentences joined until their length lies over ``floor`` and not over ``ceiling``; words fill the gap."""
    text = ""
    for index in range(ceiling):
        longer = text + (gap if text else "") + sentences[index % len(sentences)]
        if count_tokens(longer) > ceiling:
            break
        if count_tokens(longer) > count_tokens(text):
            text = longer
    for _ in range(ceiling):
        if floor < count_tokens(text) <= ceiling:
            return text
        text += f" {filler}"
    return None
