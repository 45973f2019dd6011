"""Identity: what a study is about. The same study goes on only with the same."""

from __future__ import annotations

from edgekit_converters.budget import Budget
from edgekit_converters.data import LabelledText, TrainingTexts
from edgekit_converters.model import TextModel
from edgekit_converters.tuning.origins import digest_of, model_digest, text_bytes
from edgekit_converters.tuning.space import Space
from edgekit_runtime import __version__


def identity_of(
    given: TextModel,
    dev: LabelledText,
    texts: TrainingTexts | None,
    space: Space,
    limits: Budget,
    settings: str,
    device: str,
) -> dict[str, str]:
    """Part by part, none of them big, so that what differs can be named."""
    lessons = () if texts is None else (texts.labelled.texts, texts.labelled.labels, texts.unlabelled)
    trained = {name: model_digest(model) for name, model in space.checkpoints.items()}
    return {
        "model": model_digest(given),
        "--eval": digest_of(*map(text_bytes, dev.texts), repr(dev.labels).encode()),
        "--data or --unlabelled": digest_of(*(text_bytes(repr(part)) for part in lessons)),
        "set of students": digest_of(repr(trained).encode()),
        "budget": repr(limits),
        "space of choices": digest_of(repr(space.choices).encode()),
        "setting of lengths, seeds, epochs, copies or seconds": settings,
        "device": device,
        "edgekit version": __version__,
    }
