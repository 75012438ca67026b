"""Stores that break one clause of the contract each; ``MUTANTS`` has them all."""

from tests.backends.mutants import appending, following, reading, retrying, subscribing, upkeep
from tests.backends.mutants.broken import MUTANTS

__all__ = ["MUTANTS", "appending", "following", "reading", "retrying", "subscribing", "upkeep"]
