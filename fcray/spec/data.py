"""How the examples of a run are built. Knows nothing of models or of what is swept."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fcray.spec.base import Fraction, Spec

Kind = Literal[
    "missing",
    "slot_filling",
    "correction",
    "follow_up",
    "after_result",
    "parallel",
    "sequence",
    "unknown_tool",
    "invalid",
    "contrast",
]
"""Kinds of rows beside plain calls and irrelevant requests; see `dataset/kinds.py`."""


USUAL_KINDS: dict[Kind, float] = {
    "missing": 0.12,
    "slot_filling": 0.04,
    "correction": 0.03,
    "follow_up": 0.03,
    "after_result": 0.04,
    "parallel": 0.06,
    "sequence": 0.04,
    "unknown_tool": 0.04,
    "invalid": 0.03,
    "contrast": 0.05,
}
"""With 12 % of requests that need no tool, 45 % are plain calls."""


class DataSpec(Spec):
    """How the examples of one run are built from the catalogs."""

    catalogs: tuple[str, ...] = Field(
        min_length=1, description="folders of tool catalogs, relative to the spec file"
    )
    tools: tuple[str, ...] = Field((), description="only these tools; empty: all of the catalogs'")
    train: int = Field(880, ge=1, description="examples to train on")
    validation: int = Field(48, ge=1, description="examples that score every checkpoint")
    test: int = Field(96, ge=1, description="examples for before, after and the gate")
    test_values: int = Field(
        48, ge=0, description="examples with values that training never sees; 0 keeps none from it"
    )
    test_tools: int = Field(
        48, ge=1, description="examples of the held-out tools, if there are any"
    )
    held_out_tools: tuple[str, ...] = Field((), description="tools that training never sees")
    irrelevant: Fraction = Field(0.12, description="share of requests that need no call")
    kinds: dict[Kind, Fraction] = Field(
        USUAL_KINDS, description="shares of other kinds of rows; what is left are plain calls"
    )
    masked: Fraction = Field(
        0.2, description="share of training rows whose tools and arguments have random names"
    )
    distractors: tuple[Annotated[int, Field(ge=0)] | Literal["all"], ...] = Field(
        (0, 2, 5, 7),
        min_length=1,
        description="tools that a row offers beside those that it needs, one of these numbers a row",
    )
    seed: int = 0

    @model_validator(mode="after")
    def _room_for_every_kind(self) -> Self:
        whole = self.irrelevant + sum(self.kinds.values())
        if whole > 1 + 1e-9:
            raise ValueError(
                f"irrelevant and kinds together are {whole:g} of the rows, more than all"
            )
        return self
