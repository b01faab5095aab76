"""A local proxy that speaks the OpenAI protocol and forwards to the Lumen Gateway."""

__version__ = "0.1.0"
