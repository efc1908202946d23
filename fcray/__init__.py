"""fcray: sweep LoRA adapters for function calling on Ray, and serve the best one."""

__version__ = "0.1.0"
