"""What goes in and out, as the page of the interface describes it. The bodies themselves are read by ``reading``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class OneText(BaseModel):
    """A text."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"text": "what a film"}})
    text: str


class ManyTexts(BaseModel):
    """Texts, one or more."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"texts": ["what a film", "never again"]}})
    texts: list[str] = Field(min_length=1)


class Answered(BaseModel):
    """The answer to a text."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"label": "positive", "score": 0.98, "scores": {"negative": 0.02, "positive": 0.98}}
        }
    )
    label: str = Field(description="The most probable label.")
    score: float = Field(description="Its probability.")
    scores: dict[str, float] = Field(description="The probability of every label.")
    model: str = Field("", description="Which model of the bundle answered; left out where it has one.")


class About(BaseModel):
    """Which bundle answers."""

    name: str
    sha256: str = Field(description="Of the file.")


class Description(About):
    """What answers."""

    labels: list[str]
    engine: str
    threads: int = Field(description="Threads of one text.")
    workers: int = Field(description="Texts that are classified at the same time.")


class ManyAnswered(BaseModel):
    """The answers, in the order of the texts."""

    predictions: list[Answered]
    bundle: About


class Reason(BaseModel):
    """Why there is no answer."""

    code: str = Field(description="For programs.")
    message: str = Field(description="For people: what is wrong and what to do.")


class Refused(BaseModel):
    """No answer."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"error": {"code": "queue_full", "message": "too many texts are waiting"}}}
    )
    error: Reason


class Status(BaseModel):
    """How the service is."""

    status: str
