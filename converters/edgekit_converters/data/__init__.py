"""Text, labelled or not, out of whatever files people have (docs/data.md)."""

from edgekit_converters.data.labels import infer_labels, label_ids
from edgekit_converters.data.options import DataOptions
from edgekit_converters.data.reading import LabelledText, read_labelled, read_rows, read_texts, stream_labelled
from edgekit_converters.data.rows import Row
from edgekit_converters.data.stream import LabelledStream
from edgekit_converters.data.training_texts import TrainingTexts, read_training_texts

__all__ = [
    "DataOptions",
    "LabelledStream",
    "LabelledText",
    "Row",
    "TrainingTexts",
    "infer_labels",
    "label_ids",
    "read_labelled",
    "read_rows",
    "read_texts",
    "read_training_texts",
    "stream_labelled",
]
