"""How long 100,000 verified rows take, and how memory grows with them. Run by `make bench-dataset`.

Each size runs in a process of its own, so that one's memory is not the other's.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fcray.dataset.build import Construction
from fcray.dataset.catalog import load_catalogs
from fcray.dataset.store import write_construction
from fcray.spec import DataSpec

DATA = Path(__file__).parents[1] / "data"
ROWS = 100_000


def measure(rows: int) -> None:
    """Build, verify and write rows of the shipped tools by the usual shares; print time and memory."""
    began = time.perf_counter()
    spec = DataSpec(catalogs=(str(DATA),), train=rows, validation=200, test=400)
    making = Construction(spec, load_catalogs(spec.catalogs))
    with tempfile.TemporaryDirectory() as folder:
        written = write_construction(making, Path(folder) / "out")
    seconds = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counts = written.summary.splits["train"]
    audit = written.audits["train"]
    print(
        json.dumps(
            {
                "rows": counts.rows,
                "tools": len(making.tools),
                "rejected": dict(audit.stages),
                "kinds": counts.by(lambda cell: cell.kind),
                "seconds": seconds,
                "mebibytes": memory,
            }
        )
    )


def main() -> None:
    found = {}
    for rows in (ROWS // 10, ROWS):
        command = [sys.executable, "-m", "benchmarks.dataset", str(rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[rows] = json.loads(done.stdout.splitlines()[-1])
    # Not before: it brings in torch, and a process's peak begins with the memory of what started it.
    from benchmarks.result import Target, publish

    small, large = found[ROWS // 10], found[ROWS]
    figures = {
        "rows": large["rows"],
        "tools": large["tools"],
        "rejected": sum(large["rejected"].values()),
        **{f"rows of {kind}": count for kind, count in large["kinds"].items()},
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
            Target.at_most("memory of ten times the rows, as a multiple", growth, 1.25),
        ],
    )


if __name__ == "__main__":
    measure(int(sys.argv[1])) if len(sys.argv) > 1 else main()
