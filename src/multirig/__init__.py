"""One experiment over many lab computers."""

__version__ = "0.1.0"
