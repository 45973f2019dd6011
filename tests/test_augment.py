"""New texts: none twice, none of the old, the same for the same seed, and made of what the articles say."""

from __future__ import annotations

import random
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit_converters.augmentation.augment import AugmentSettings, augment
from edgekit_converters.augmentation.sentences import sentences
from edgekit_converters.augmentation.units import Unit, has_word, units, with_pairs
from edgekit_converters.augmentation.word_kinds import WordKinds
from edgekit_converters.sample import sample_texts
from edgekit_runtime.errors import OptionError

NOTHING = {"mask": 0.0, "swap": 0.0, "ngram": 0.0, "crop": 0.0, "join": 0.0}
NOUNS = ["film", "meal", "room", "story", "phone", "plot", "cast", "band", "song", "town", "lamp", "road"]
VERBS = ["was", "seemed", "felt", "looked", "sounded", "grew", "stayed", "went", "turned"]
ADJECTIVES = ["good", "bad", "dull", "fine", "sad", "slow", "warm", "cold", "odd", "rich", "poor", "kind"]


def made_up(count: int = 600) -> list[str]:
    """Sentences such as "the film was good .", whose words of each kind are known."""
    chosen = random.Random(0)
    return [f"the {chosen.choice(NOUNS)} {chosen.choice(VERBS)} {chosen.choice(ADJECTIVES)} ." for _ in range(count)]


def only(**settings: float) -> AugmentSettings:
    return AugmentSettings(**{**NOTHING, **settings})


def numbered(texts: list[str]) -> tuple[list[str], WordKinds]:
    """The words of texts and their kinds."""
    parts = [[unit.text for unit in units(text)] for text in texts]
    counts = Counter(word for part in parts for word in part)
    words = [word for word, _ in counts.most_common()]
    edge = len(words)
    ids = [edge]
    for part in parts:
        ids += [*map(words.index, part), edge]
    return words, WordKinds(words, np.array([counts[word] for word in words]), np.array(ids))


# units


@given(st.text())
def test_nothing_is_lost_by_taking_a_text_apart(text):
    parts = units(text)
    assert "".join(gap + unit for gap, unit in parts) == text.rstrip()
    assert not any(gap.strip() for gap, _ in parts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's well-made,  isn't it?", ["It's", "well", "-", "made", ",", "isn't", "it", "?"]),
        ("电影很好！5星 ok", ["电", "影", "很", "好", "！", "5星"[0], "星", "ok"]),
        ("映画 はよかった", ["映", "画", "は", "よ", "か", "っ", "た"]),
        ("फ़िल्म अच्छी है", ["फ़िल्म", "अच्छी", "है"]),
        ("영화가 좋다 👍🏽👍", ["영화가", "좋다", "👍🏽👍"]),
        ("'quoted' don’t", ["'", "quoted", "'", "don’t"]),
    ],
)
def test_units_are_words_where_there_are_spaces_and_characters_where_there_are_none(text, expected):
    assert [unit.text for unit in units(text)] == expected


def test_characters_that_belong_together_become_one_unit():
    texts = [f"{thing}很{what}" for thing in ("电影", "房间", "早餐", "服务") for what in "好差旧新" for _ in range(3)]
    paired = with_pairs([units(text) for text in texts])
    assert {unit.text for part in paired for unit in part} == {
        "电影",
        "房间",
        "早餐",
        "服务",
        "很好",
        "很差",
        "很旧",
        "很新",
    }
    assert ["".join(gap + text for gap, text in part) for part in paired] == texts


def test_characters_with_a_space_between_them_do_not_belong_together():
    assert with_pairs([units("电 影")] * 9 + [units("好")] * 9)[0] == [Unit("", "电"), Unit(" ", "影")]


# kinds


def test_words_of_a_kind_are_those_of_the_same_place():
    words, kinds = numbered(made_up())
    for group in (NOUNS, VERBS, ADJECTIVES):
        members = [{words[number] for number in kinds.members(words.index(word))} for word in group]
        assert all(others <= set(group) for others in members)
        assert max(map(len, members)) > len(group) / 2


def test_punctuation_and_rare_words_are_of_no_kind():
    words, kinds = numbered([*made_up(), "the marvel was good ."])
    assert kinds.members(words.index(".")) == kinds.members(words.index("marvel")) == []


def test_numbers_and_chinese_are_kinds_of_their_own():
    words, kinds = numbered([f"the {noun} was good" for noun in ("film", "meal", "7", "80", "电", "影")] * 9)
    members = [{words[n] for n in kinds.members(words.index(word))} for word in ("film", "7", "电")]
    assert members == [{"film", "meal"}, {"7", "80"}, {"电", "影"}]


def test_frequent_words_are_drawn_more_often():
    words, kinds = numbered(["the film was good"] * 900 + ["the meal was good"] * 100)
    film, meal = words.index("film"), words.index("meal")
    drawn = kinds.draw(np.full(9000, meal), np.random.default_rng(0))
    assert 8 < (drawn == film).sum() / (drawn == meal).sum() < 10


# what is made


@pytest.mark.parametrize("mask_token", ["[MASK]", None])
def test_new_texts_are_new_and_the_same_for_the_same_seed(mask_token):
    texts = sample_texts()
    made = augment(texts, AugmentSettings(), mask_token=mask_token, seed=1)
    assert made == augment(texts, AugmentSettings(), mask_token=mask_token, seed=1)
    assert made != augment(texts, AugmentSettings(), mask_token=mask_token, seed=2)
    assert len(set(made)) == len(made) > 2 * len(texts)
    assert not set(made) & set(texts)
    assert all(text == text.strip() and has_word(text.replace("[MASK]", "")) for text in made)


@given(st.lists(st.text()), st.integers(0, 3))
def test_any_texts_can_be_given(texts, seed):
    made = augment(texts, AugmentSettings(mask=0.5, swap=0.5), mask_token="[MASK]", seed=seed)
    assert len(made) <= 4 * len(texts)
    assert not set(made) & set(texts)


def test_words_are_masked_at_their_rate_and_marks_never():
    made = augment(made_up(), only(mask=0.3, copies=9), mask_token="[MASK]", seed=0)
    assert all(text.endswith(" .") for text in made)
    words = [word for text in made for word in text.split()[:-1]]
    known = {"[MASK]", "the", *NOUNS, *VERBS, *ADJECTIVES}
    assert set(words) == known
    once = augment([" ".join(f"w{n}" for n in range(5000))], only(mask=0.3, copies=1), mask_token="[MASK]", seed=0)
    assert 0.28 < once[0].split().count("[MASK]") / 5000 < 0.32


def test_without_a_mask_token_words_are_dropped():
    made = augment(["a b c d e f"], only(mask=0.3, copies=9), mask_token=None, seed=0)
    assert made
    assert all(len(text.split()) < 6 and "  " not in text for text in made)


def test_words_are_swapped_for_others_of_their_kind():
    texts = made_up()
    made = augment([*texts, "the room was quite good"], only(swap=0.5, copies=20), mask_token=None, seed=0)
    assert len(made) > 40
    for text in made:
        the, noun, verb, *quite, adjective = text.removesuffix(" .").split()
        assert (the, quite) in (("the", []), ("the", ["quite"]))
        assert noun in NOUNS
        assert verb in VERBS
        assert adjective in ADJECTIVES


def test_ngrams_and_crops_are_words_in_a_row():
    text = " ".join(f"w{number}" for number in range(20))
    for settings, fewest, most in ((only(ngram=1.0, copies=90), 1, 5), (only(crop=1.0, copies=90), 11, 19)):
        made = augment([text], settings, mask_token=None, seed=0)
        assert {len(new.split()) for new in made} == {*range(fewest, most + 1)}
        assert all(f" {new} " in f" {text} " for new in made)


def test_joined_texts_are_two_with_a_space_unless_they_are_chinese():
    made = augment(["good", "bad"], only(join=1.0, copies=20), mask_token=None, seed=0)
    assert set(made) == {"good bad", "bad good", "good good", "bad bad"}
    assert set(augment(["很好", "很差"], only(join=1.0, copies=20), mask_token=None, seed=0)) >= {
        "很好很差",
        "很差很好",
    }


def test_white_space_stays_as_it_was():
    text = "one  two,three\tfour 很好 five"
    for new in augment([text], only(mask=0.3, copies=20), mask_token="[MASK]", seed=0):
        assert [unit.gap for unit in units(new.replace("[MASK]", "x"))][1:5] == ["  ", "", "", "\t"]


def test_no_copies_and_no_words_make_nothing():
    assert augment(made_up(), AugmentSettings(copies=0), mask_token=None, seed=0) == []
    assert augment(["", "  "], AugmentSettings(), mask_token=None, seed=0) == []
    assert augment([], AugmentSettings(), mask_token=None, seed=0) == []


def test_it_is_fast():
    """67,000 texts five times take 3 seconds; here a fifth, with room for a busy machine."""
    chosen = random.Random(0)
    words = [f"word{chosen.randrange(10)}{chosen.choice('abcdefghij')}" for _ in range(9000)]
    texts = [" ".join(chosen.choices(words, k=10)) for _ in range(13_400)]
    begin = time.process_time()
    assert len(augment(texts, AugmentSettings(copies=5), mask_token="[MASK]", seed=0)) > 50_000
    assert time.process_time() - begin < 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mask": 1.5}, "mask is 1.5, and is a share: give a number from 0 to 1"),
        ({"ngram": float("nan")}, "ngram is nan, and is a share"),
        ({"mask": 0.6, "swap": 0.6}, "mask 0.6 and swap 0.6 are more than all words; lower one"),
        ({"ngram": 0.9}, "ngram 0.9, crop 0.1 and join 0.1 are more than all copies; lower one"),
        ({"copies": -1}, "copies is -1 and longest_ngram 5; give 0 or more and 1 or more"),
        ({"longest_ngram": 0}, "copies is 4 and longest_ngram 0; give 0 or more and 1 or more"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(OptionError, match=message):
        AugmentSettings(**settings)


# sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A film. Really? Yes!! Good", ["A film.", "Really?", "Yes!!", "Good"]),
        ('He said "No." Then it ended... (Badly.) Fine', ['He said "No."', "Then it ended...", "(Badly.)", "Fine"]),
        ("Mr. Deeds met J. R. Smith at 3.5 p.m. today.", ["Mr. Deeds met J. R. Smith at 3.5 p.m. today."]),
        ("a fine film . the plot is thin .", ["a fine film .", "the plot is thin ."]),
        ("One line<br /><br>two\nthree", ["One line", "two", "three"]),
        ("房间很好。服务不错！“推荐。”还会来", ["房间很好。", "服务不错！", "“推荐。”", "还会来"]),
        ("Good. Good. ... !", ["Good."]),
        ("", []),
    ],
)
def test_sentences(text, expected):
    assert sentences([text]) == expected


def test_a_long_sentence_is_cut_at_a_comma_or_at_its_length():
    assert sentences(["a b c, d e f g h"], 4) == ["a b c,", "d e f g", "h"]
    assert sentences(["a, b c d e"], 4) == ["a, b c d", "e"]
    assert sentences(["电影很好，房间很差"], 6) == ["电影很好，", "房间很差"]
    with pytest.raises(OptionError, match="sentences of at most 0 words cannot be made; give 1 or more"):
        sentences(["a"], 0)


@given(st.lists(st.text()), st.integers(1, 9))
def test_sentences_hold_all_words_and_are_short(texts, longest):
    found = sentences(texts, longest)
    assert len(set(found)) == len(found)
    for sentence in found:
        assert 1 <= sum(has_word(unit.text) for unit in units(sentence)) <= longest
        assert any(sentence in text for text in texts)
