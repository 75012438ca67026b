"""Events in a table of SQLite: what the SQLite store is, and what the JSONL store reads by."""
