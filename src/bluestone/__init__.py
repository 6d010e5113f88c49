"""Immutable servers, end to end, from one file."""

__version__ = "0.1.0"
