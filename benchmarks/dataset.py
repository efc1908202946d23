"""How long 100,000 verified rows take, and how memory grows with them. Run by `make bench-dataset`.

Each size runs in a process of its own, so that one's memory is not the other's.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

from benchmarks.result import Target, publish
from fcray.dataset.build import build
from fcray.dataset.catalog import Catalog, load_catalogs
from fcray.dataset.pools import LANGUAGES
from fcray.spec import DataSpec, Kind
from fcray.tools import Language

DATA = Path(__file__).parents[1] / "data"
ROWS = 100_000


def rich_tools() -> tuple[str, ...]:
    """Tools of which there are enough distinct sentences in both languages for the largest size."""
    catalog = load_catalogs([DATA])
    return tuple(
        tool.name
        for tool in catalog.tools
        if min(_sentences(catalog, tool.name, language) for language in LANGUAGES) > ROWS
    )


def _sentences(catalog: Catalog, tool: str, language: Language) -> int:
    return sum(template.size for template in catalog.of(tool, language))


def measure(rows: int) -> None:
    """Build rows of all kinds over the shipped tools that have as many; print time and memory as JSON."""
    kinds: dict[Kind, float] = dict.fromkeys(get_args(Kind), 0.04)
    spec = DataSpec(
        catalogs=(str(DATA),),
        tools=rich_tools(),
        train=rows,
        validation=200,
        test=400,
        irrelevant=0.002,
        kinds=kinds,
    )
    began = time.perf_counter()
    built = build(spec)
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": len(built.train), "seconds": seconds, "mebibytes": memory}))


def main() -> None:
    found = {}
    for rows in (ROWS // 10, ROWS):
        command = [sys.executable, "-m", "benchmarks.dataset", str(rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[rows] = json.loads(done.stdout.splitlines()[-1])
    small, large = found[ROWS // 10], found[ROWS]
    figures = {
        "rows": large["rows"],
        "tools": len(rich_tools()),
        "seconds": large["seconds"],
        "rows a second": large["rows"] / large["seconds"],
        "peak MiB": large["mebibytes"],
        f"peak MiB of {small['rows']:,} rows": small["mebibytes"],
    }
    growth = large["mebibytes"] / small["mebibytes"]
    publish(
        "dataset",
        figures,
        [
            Target.at_most(f"seconds for {ROWS:,} verified rows", large["seconds"], 180),
            Target.at_most("memory of ten times the rows, as a multiple", growth, 1.5),
        ],
    )


if __name__ == "__main__":
    measure(int(sys.argv[1])) if len(sys.argv) > 1 else main()
