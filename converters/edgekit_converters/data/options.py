"""What the user says of a data file."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from edgekit_converters.data.labelmap import LabelMap
from edgekit_runtime.errors import OptionError


@dataclass(frozen=True)
class DataOptions:
    """What the user says of a data file; each field is an option of the command line.

    Attributes:
        text_column: Name, or number from 1, of the column with the text; None finds it by name.
        label_column: The same for the label.
        label_map: What the labels mean: ``stars``, or such as ``1-2=negative,4-5=positive,3=``.
        encoding: Name of a text file's encoding; None finds it in the first bytes.
        split: Which split of a dataset is read.
        header: Whether the first line of a csv or tsv file names the columns; None looks.
        skip_bad: Whether rows that cannot be used are left out and counted; otherwise the first is an error.

    Raises:
        OptionError: The label map is malformed, or no such encoding exists.
    """

    text_column: str | None = None
    label_column: str | None = None
    label_map: str | None = None
    encoding: str | None = None
    split: str | None = None
    header: bool | None = None
    skip_bad: bool = False

    def __post_init__(self) -> None:
        if self.label_map is not None:
            LabelMap.parse(self.label_map)
        if self.encoding is not None:
            try:
                "a".encode(self.encoding)
            except (LookupError, UnicodeError):
                raise OptionError(
                    f"there is no encoding {self.encoding!r}; --encoding takes such as utf-8, utf-16, gb18030, latin-1"
                ) from None

    def over(self, other: DataOptions) -> DataOptions:
        """What is said here, and where nothing is, what ``other`` says."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(
            other, **{field.name: said[field.name] for field in fields(self) if said[field.name] != field.default}
        )
