"""Schedule Service: other systems hand it the question "when?"."""

__version__ = "0.1.0"
