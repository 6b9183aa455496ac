"""The version of composer."""

__version__ = "0.1.0"
