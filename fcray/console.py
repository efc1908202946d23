"""What people see: tables, progress lines and figures in the terminal. Computes nothing.

With `--json` nothing of this is printed and standard output is one JSON document.
"""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.table import Table

from fcray.sweep.run import Observer
from fcray.tracking.record import ConditionRecord, RunRecord, ScoreRecord, ServedRecord
from fcray.tracking.wording import call_text, modules, percent, shares_text, span

PHASES = {
    "data": "building and verifying the examples",
    "before": "scoring the base model",
    "sweep": "sweeping LoRA configurations",
    "promote": "scoring the best adapter as it is served",
    "deploy": "deploying it on Ray Serve",
    "calls": "calling it with the openai client",
    "report": "writing the report",
}
