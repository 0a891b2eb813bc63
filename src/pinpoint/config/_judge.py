"""Who judges replies."""

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from pinpoint.config._base import Settings, Text


class JudgeConfig(Settings):
    """Who judges replies to further sets, and in `score`. The are-you-sure protocol of a run is judged by rules.

    A key comes from PINPOINT_JUDGE_KEY alone, and is not kept.
    """

    kind: Literal["rules", "letters", "model"] = "rules"
    """By rules; by letters alone, free answers left unjudged; or by another model. Options go by letter always."""
    model: Text | None = None
    """The judging model: its name at the endpoint; without one, a local folder or a Hub id."""
    endpoint: str | None = None
    """Base URL of an OpenAI-compatible server: http://localhost:8000/v1."""
    timeout: float = Field(60.0, gt=0)
    """Seconds that one answer of the endpoint may take."""
    workers: int = Field(4, ge=1)
    """Requests that are under way at once."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.kind != "model":
            if self.model is not None or self.endpoint is not None:
                raise ValueError(f"model and endpoint go with kind 'model', not with {self.kind!r}")
            return self
        if self.model is None:
            raise ValueError("kind 'model' needs a model: its name at the endpoint, a folder or a Hub id")
        if self.endpoint is not None:
            parts = urlsplit(self.endpoint)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"endpoint {self.endpoint!r} is no http or https URL")
            if parts.username or parts.password or parts.query:
                raise ValueError("endpoint holds credentials or a query: a key goes into PINPOINT_JUDGE_KEY")
        return self
