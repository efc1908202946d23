"""The inference engine that evaluation and serving share. Never imports Ray."""

from fcray.inference.engine import Completion, Engine, Request, ToolChoice

__all__ = ["Completion", "Engine", "Request", "ToolChoice"]
