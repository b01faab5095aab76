"""A local proxy with the OpenAI protocol in front of the Lumen Gateway."""

__version__ = "0.1.0"
