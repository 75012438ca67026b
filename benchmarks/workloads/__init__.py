"""The workloads, by name, in the order they run."""

from benchmarks.workloads import (
    append,
    batches,
    bridge,
    checkpoints,
    copies,
    machines,
    million,
    projections,
    reads,
    rebases,
    startup,
    stores,
    sustained,
    types,
    upkeep,
    verify,
    visible,
)
from benchmarks.workloads.base import Context, Workload

WORKLOADS: dict[str, Workload] = {
    "append": append.run,
    "sustained": sustained.run,
    "visible": visible.run,
    "batches": batches.run,
    "bridge": bridge.run,
    "reads": reads.run,
    "million": million.run,
    "types": types.run,
    "verify": verify.run,
    "startup": startup.run,
    "upkeep": upkeep.run,
    "machines": machines.run,
    "checkpoints": checkpoints.run,
    "rebases": rebases.run,
    "stores": stores.run,
    "copies": copies.run,
    "projections": projections.run,
}

__all__ = ["WORKLOADS", "Context", "Workload"]
