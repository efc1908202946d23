"""The inference engine that evaluation and serving share. Never imports Ray."""

from fcray.inference.engine import Engine
from fcray.inference.requests import Completion, Delta, Likelihood, Request, ToolChoice

__all__ = ["Completion", "Delta", "Engine", "Likelihood", "Request", "ToolChoice"]
