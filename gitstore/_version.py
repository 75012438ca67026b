"""The version, in a module: importlib.metadata costs a command line 20 ms."""

__version__ = "0.1.0"
