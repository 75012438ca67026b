"""Files and locks, for every backend that keeps its events on a disk."""
