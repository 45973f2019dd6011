"""Do these models go together?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgekit_converters.packing import Part
from edgekit_runtime.errors import OptionError
from edgekit_runtime.progress import Listener


def fitting(parts: Mapping[str, Part], listener: Listener) -> dict[str, Part]:
    """The models with the programs of those engines that all of them have, if they go together.

    Raises:
        OptionError: They have other labels or no engine in common, or two of them are the same.
    """
    first, *others = parts.values()
    for other in others:
        if other.labels != first.labels:
            raise OptionError(_other_labels(first, other))
    names = ", ".join(part.name for part in parts.values())
    if len({frozenset(part.contents.values()) for part in parts.values()}) < len(parts):
        raise OptionError(f"two of {names} are the same model, which adds nothing to itself: give different ones")
    engines = [{program.engine for program in part.programs} for part in parts.values()]
    common = set.intersection(*engines)
    if not common:
        told = "; ".join(", ".join(sorted(each)) for each in engines)
        raise OptionError(f"{names} have no engine in common ({told}): convert them for one with --target")
    if dropped := sorted(set.union(*engines) - common):
        listener.say(f"not every model has a program for {', '.join(dropped)}, so the new bundle has none for it")
    return {role: _for_engines(part, common) for role, part in parts.items()}


def _for_engines(part: Part, engines: set[str]) -> Part:
    programs = tuple(program for program in part.programs if program.engine in engines)
    return replace(
        part,
        programs=programs,
        contents={program.file: part.contents[program.file] for program in programs},
        reports=tuple(report for report in part.reports if report.engine in engines),
    )


def _other_labels(one: Part, other: Part) -> str:
    told = f"{one.name} has the labels {','.join(one.labels)}, and {other.name} has {','.join(other.labels)}"
    if sorted(one.labels) == sorted(other.labels):
        return f"{told}: the order counts, so train one of them anew with the other's --labels"
    return (
        f"{told}: models of other classes cannot answer together; if only the names differ, convert one with --labels"
    )
