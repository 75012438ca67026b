"""One module a command: parse, call, render. Each has its click command as ``command``."""
