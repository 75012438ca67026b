"""The reader of all read tasks: it counts the events and touches each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

Row = tuple[int, Any]
"""What is taken of an event that was decoded: its version and its data."""


def consume(rows: Iterable[Row]) -> None:
    """Read ``rows`` to the end; prints the seconds, and a count and sum to compare readers by."""
    begun, used = time.perf_counter(), time.process_time()
    count = checksum = 0
    for version, data in rows:
        count += 1
        checksum += version + len(data)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    result = {"seconds": seconds, "cpu": cpu, "events": count, "checksum": checksum}
    print(json.dumps(result))
