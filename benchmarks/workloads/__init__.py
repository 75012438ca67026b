"""The workloads, by name, in the order they run."""

from benchmarks.workloads import (
    append,
    batches,
    million,
    reads,
    startup,
    sustained,
    verify,
    visible,
)
from benchmarks.workloads.base import Context, Workload

WORKLOADS: dict[str, Workload] = {
    "append": append.run,
    "sustained": sustained.run,
    "visible": visible.run,
    "batches": batches.run,
    "reads": reads.run,
    "million": million.run,
    "verify": verify.run,
    "startup": startup.run,
}

__all__ = ["WORKLOADS", "Context", "Workload"]
