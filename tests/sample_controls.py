"""A control of each kind."""

import enum
from typing import Annotated, Literal

from rtcstream import Point, Range
from rtcstream.controls import describe


class Mode(enum.Enum):
    EDGES = "e"
    FLIP = "f"


class Speed(enum.IntEnum):
    SLOW = 1
    FAST = 2


SIZE = describe("size", Annotated[int, Range(1, 20, 2)], 5)
COUNT = describe("count", int, 0)
GAIN = describe("gain", Annotated[float, Range(0, 1)], 0.5)
HEIGHT = describe("height", float, 0.0)
ON = describe("on", bool, False)
NAME = describe("name", str, "")
COLOUR = describe("colour", Literal["red", "green"], "red")
BLOCK = describe("block", Literal[8, 16, "auto"], 8)
MODE = describe("mode", Mode, Mode.EDGES)
SPEED = describe("speed", Speed, Speed.SLOW)
SPOT = describe("spot", Point, Point(0.5, 0.5))
TARGET = describe("target", Point | None, None)
ALL = (SIZE, COUNT, GAIN, HEIGHT, ON, NAME, COLOUR, BLOCK, MODE, SPEED, SPOT, TARGET)
