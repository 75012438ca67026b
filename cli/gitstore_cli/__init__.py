"""The `sc-events` command line."""
