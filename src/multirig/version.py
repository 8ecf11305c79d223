"""The version of multirig: in a file of its own, so that it can be read from every room."""

__version__ = "0.1.0"
