"""The structured output that the Python clients ask for."""

from pydantic import BaseModel


class City(BaseModel):
    """A city with its place."""

    city: str
    coastal: bool
    rivers: list[str]
