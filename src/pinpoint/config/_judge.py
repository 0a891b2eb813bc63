"""Who judges replies."""

import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pinpoint.config._base import Settings, Text
from pinpoint.endpoint import base_of

ITSELF = "a model must not judge itself."
NOT_ITSELF = "Name another judge; where it is another model of the same name, serve or store it under one of its own."


class JudgeConfig(Settings):
    """Who judges replies in the evaluation of a run or an endpoint, and in `score`.

    Tuning's checks on validation, knock-outs and `pinpoint compare` go by rules always.

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
            base_of(self.endpoint)
        return self

    @property
    def asked(self) -> dict[str, Any]:
        """What verdicts depend on."""
        said = self.model_dump(mode="json", include={"kind", "model", "endpoint"})
        # Verdicts on the protocol were by rules once, whoever judged.
        return said if self.kind == "rules" else said | {"protocol": True}

    @property
    def local(self) -> bool:
        """Whether a model on this machine judges."""
        return self.model is not None and self.endpoint is None

    def judges(self, model: str) -> bool:
        """Whether a model would judge itself, by its name: behind an endpoint nothing else tells which one answers.

        Folders that are there are followed; else the last part of a folder, a Hub id or a server's name counts.
        """
        if self.model is None:
            return False
        # A row of transcripts may name anything: os.path.exists knows names that no file can have.
        if self.local and os.path.exists(self.model) and os.path.exists(model):
            return os.path.samefile(self.model, model)
        return Path(self.model).name.casefold() == Path(model).name.casefold()
