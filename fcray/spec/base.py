"""What all parts of a spec share: unknown fields are refused, values do not change, numbers are finite."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
"""A share of one."""


class Spec(BaseModel):
    """A part of a spec."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
