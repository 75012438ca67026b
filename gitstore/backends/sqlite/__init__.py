"""The SQLite store: one file, one table, open to the ``sqlite3`` tool."""
