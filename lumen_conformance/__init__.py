"""A recovery and contract suite for servers that speak the OpenAI protocol."""

__version__ = "0.1.0"
