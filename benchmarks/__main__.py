"""``python -m benchmarks [WORKLOAD …] [--quick] [--out FILE] [--dir DIRECTORY]``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.events import SEED
from benchmarks.machine import file_system, machine, versions
from benchmarks.workloads import WORKLOADS, Context

_RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run the workloads, print a table each, write the result."""
    arguments = _arguments()
    # The measured programs shall not depend on whose machine it is.
    os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    # Nor be compiled anew by each process, which no installed package is.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    begun = datetime.now(UTC)
    arguments.dir.mkdir(parents=True, exist_ok=True)
    outcomes: dict[str, report.Outcome] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="data-", dir=arguments.dir) as place:
        facts = machine(Path(place))
        for name in arguments.workloads or WORKLOADS:
            started = time.monotonic()
            load = os.getloadavg()[0]
            context = Context(Path(place) / name, arguments.quick)
            context.directory.mkdir()
            outcomes[name] = WORKLOADS[name](context)
            seconds[name] = time.monotonic() - started
            outcomes[name].raw["load_before"] = load
            print(report.table(name, outcomes[name]), flush=True)
    result = _result(begun, arguments.quick, facts, outcomes, seconds)
    out = arguments.out or _RESULTS / f"{begun:%Y%m%dT%H%M%SZ}.json"
    report.write(out, result)
    print(f"{report.verdict(outcomes.values())}; raw figures: {out}")


def _result(
    begun: datetime,
    quick: bool,
    facts: dict[str, Any],
    outcomes: dict[str, report.Outcome],
    seconds: dict[str, float],
) -> dict[str, Any]:
    return {
        "begun": begun.isoformat(timespec="seconds"),
        "quick": quick,
        "seed": SEED,
        "versions": versions(),
        "machine": facts,
        "workloads": {
            name: {"seconds": round(seconds[name], 1), **outcome.to_dict()}
            for name, outcome in outcomes.items()
        },
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run at all?")
    parser.add_argument("--out", type=Path, help="the result, JSON; else below benchmarks/results")
    parser.add_argument(
        "--dir", type=Path, default=_RESULTS, help="where data is written, and removed afterwards"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload {sorted(unknown)[0]!r}; there are {', '.join(WORKLOADS)}")
    if file_system(arguments.dir) in ("tmpfs", "ramfs"):
        print(f"{arguments.dir} is in memory: nothing is durable there", file=sys.stderr)
    return arguments


if __name__ == "__main__":
    main()
