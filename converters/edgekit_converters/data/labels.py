"""What the labels of a file mean: which class of the model each stands for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgekit_converters.data.labelmap import STARS, LabelMap, plain
from edgekit_converters.data.rows import Row
from edgekit_runtime.errors import DataError, OptionError

POLES = {2: ("negative", "positive"), 3: ("negative", "neutral", "positive")}
SHORT = {"neg": "negative", "neu": "neutral", "pos": "positive"}
NUMBERS = {2: (("-1", "1"), ("0", "4")), 3: (("-1", "0", "1"), ("0", "2", "4"))}
"""How corpora number their classes, by how many there are, from negative to positive."""

SHOWN = 40
"""So many characters of a label are in a message."""
LISTED = 8
WORDS = {
    "negative": "neg 消极 负面 负向 差评 négatif negatif negativ negativo",
    "neutral": "neu 中性 中立 中评 neutre neutro",
    "positive": "pos 积极 正面 正向 好评 positif positiv positivo",
}
"""What --label-map is proposed with; nothing is read so unless the user says it."""


@dataclass(frozen=True)
class LabelRule:
    """One way to read labels.

    Attributes:
        title: What is said of it; None for what needs no word: the classes' names, their ids, the user's map.
        classes: Class id of each label, as :func:`plain` has it.
        least: So many different labels must be there; -1 alone may well mean that a row has no label.
        label_map: The user's, which goes before.
    """

    title: str | None
    classes: Mapping[str, int]
    least: int = 1
    label_map: LabelMap | None = None

    def class_id(self, label: str) -> int | None:
        """The class of a label; None if its row is left out.

        Raises:
            KeyError: The rule does not know the label.
        """
        if self.label_map is None:
            return self.classes[plain(label)]
        name = self.label_map.class_name(label)
        return self.classes[plain(name)] if name else None

    def knows(self, label: str) -> bool:
        """Whether the rule has a class for a label, or leaves its row out."""
        try:
            self.class_id(label)
        except KeyError:
            return False
        return True


def find_rule(written: Counter[str], labels: Sequence[str], label_map: str | None = None) -> LabelRule:
    """The rule that most of the labels of the first rows follow; the user's, if there is one.

    Args:
        written: The labels of the first rows, and how often each occurs.
        labels: Names of the classes.
        label_map: What the user says.

    Raises:
        OptionError: The label map names a class that there is not.
    """
    if label_map is not None:
        return _mapped(label_map, labels)

    def rows_known(rule: LabelRule) -> int:
        known = [label for label in written if rule.knows(label)]
        return sum(written[label] for label in known) if len({*map(plain, known)}) >= rule.least else 0

    return max(_rules(labels), key=rows_known)


def unknown_label(label: str, found: Iterable[str], labels: Sequence[str], rule: LabelRule) -> str:
    """What is wrong with a label that the rule does not know, and the --label-map that would help.

    Args:
        label: The label.
        found: The labels up to there, each once.
        labels: Names of the classes.
        rule: The rule.
    """
    found = list(dict.fromkeys([*found, label]))
    message = f"the label {label[:SHOWN]!r} is none of {', '.join(labels)} or 0 to {len(labels) - 1}"
    if rule.label_map is not None:
        message = f"the label {label[:SHOWN]!r} is not in --label-map"
    elif rule.title:
        message += f", and the labels before it are {rule.title}"
    if len(found) > LISTED or any(len(name) > 30 or set(name) & {",", "="} for name in found):
        return f"{message}; there are others such as {found[0][:30]!r}: choose the column with --label-column"
    return (
        f"{message}; the labels found so far are {', '.join(found)}: say what they mean, such as "
        f"--label-map {_proposal(found, labels)!r}, or choose the column with --label-column"
    )


def label_ids(rows: Sequence[Row], labels: Sequence[str], source: str) -> list[int]:
    """Class ids of rows whose labels are names or ids of ``labels``, or follow another rule that is known.

    Raises:
        DataError: A label does not; the message names its line.
    """
    rule = find_rule(Counter(row.label for row in rows), labels)
    seen: dict[str, int] = {}
    for row in rows:
        if not rule.knows(row.label):
            raise DataError(f"{source}, line {row.line}: {unknown_label(row.label, seen, labels, rule)}")
        seen[row.label] = rule.classes[plain(row.label)]
    return [seen[row.label] for row in rows]


def infer_labels(rows: Sequence[Row], label_map: str | None = None) -> tuple[str, ...]:
    """Names of the classes that rows use.

    Sorted names; for ids 0 … n the ids, two of them as negative, positive; for -1 and 1 and other numbers that stand
    for poles the names of these; with a label map the names that it gives.

    Raises:
        DataError: There is only one class, or ids are missing in between.
    """
    mapped = None if label_map is None else LabelMap.parse(label_map)
    written = {row.label for row in rows}
    if mapped is not None:
        written = {name for name in (_name(mapped, label) for label in written) if name}
    by_plain = {plain(label): label for label in sorted(written, reverse=True)}
    if not by_plain:
        raise DataError("the label map gives no row a class; name the labels that the file has")
    if len(by_plain) < 2:
        raise DataError(f"all examples have the label {min(written)!r}; a classifier needs two or more classes")
    for count, numberings in NUMBERS.items():
        if any(set(by_plain) == set(numbering) for numbering in numberings):
            return POLES[count]
    if not all(label.isdecimal() for label in by_plain):
        return tuple(sorted(by_plain.values()))
    ids = sorted(map(int, by_plain))
    if ids != list(range(len(ids))):
        raise DataError(
            f"the labels are {', '.join(map(str, ids))}; class ids must count from 0: say what they mean with --label-map, "
            f"such as {_proposal(list(map(str, ids)), POLES.get(len(ids), POLES[2]))!r}, or use names"
        )
    return POLES[2] if len(ids) == 2 else tuple(map(str, ids))


def _name(label_map: LabelMap, label: str) -> str | None:
    try:
        return label_map.class_name(label)
    except KeyError:
        return None


def _mapped(written: str, labels: Sequence[str]) -> LabelRule:
    poles = _poles(labels)
    if written.strip().casefold() == STARS and not poles:
        raise OptionError(
            f"--label-map stars needs classes named negative and positive, and the model has {', '.join(labels)}: "
            f"write it out, such as 1-2={labels[0]},4-5={labels[-1]},3="
        )
    label_map = LabelMap.parse(written, neutral="neutral" in poles)
    classes = _own(labels) | (poles if written.strip().casefold() == STARS else {})
    for name in (*label_map.classes.values(), *(name for _, _, name in label_map.ranges)):
        if name and plain(name) not in classes:
            raise OptionError(f"--label-map names the class {name!r}, and the model has {', '.join(labels)}")
    return LabelRule(None, classes, label_map=label_map)


def _own(labels: Sequence[str]) -> dict[str, int]:
    """The classes by name, and by id unless the names are numbers themselves."""
    names = {plain(name): index for index, name in enumerate(labels)}
    numbers = any(re.fullmatch(r"[+-]?\d+", name) for name in names)
    return names if numbers else {str(index): index for index in range(len(labels))} | names


def _poles(labels: Sequence[str]) -> dict[str, int]:
    """Which class is negative, neutral, positive: by name, or by order where names are only numbers; else empty."""
    order = POLES.get(len(labels), ())
    names = [SHORT.get(name.casefold(), name.casefold()) for name in labels]
    if sorted(names) == sorted(order):
        return {name: index for index, name in enumerate(names)}
    if all(re.fullmatch(r"(label_?)?[+-]?\d+", name) for name in names):
        return {name: index for index, name in enumerate(order)}
    return {}


def _rules(labels: Sequence[str]) -> list[LabelRule]:
    """The rules that fit these classes, the first of which wins where several know the same labels."""
    rules, poles = [LabelRule(None, _own(labels))], _poles(labels)
    if poles:
        short = {word: poles[name] for word, name in SHORT.items() if name in poles}
        full = {name: poles[name] for name in poles}
        rules.append(LabelRule("the usual names of " + ", ".join(labels), short | full))
    order = POLES.get(len(labels), ())
    for numbering in NUMBERS.get(len(labels), ()) if poles else ():
        classes = {number: poles[name] for number, name in zip(numbering, order, strict=True)}
        meaning = ", ".join(f"{number} {labels[index]}" for number, index in classes.items())
        rules.append(LabelRule(f"numbered so: {meaning}", classes, least=2))
    return rules


def _proposal(found: Sequence[str], labels: Sequence[str]) -> str:
    """A --label-map for labels, with ? for what the user alone knows."""
    numbers = {plain(label) for label in found}
    if numbers <= set("12345") and numbers & set("45") and _poles(labels):
        return STARS
    for rule in _rules(labels):
        if all(rule.knows(label) for label in found):
            return ",".join(f"{label}={labels[rule.classes[plain(label)]]}" for label in found)
    known = {word: name for name, words in WORDS.items() for word in (name, *words.split())}
    by_name = {plain(name): name for name in labels}
    poles = {name: labels[index] for name, index in _poles(labels).items()}
    own = {plain(label): by_name.get(plain(label)) or poles.get(known.get(plain(label), "")) or "?" for label in found}
    return ",".join(f"{label}={own[plain(label)]}" for label in found)
