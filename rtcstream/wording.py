"""A control's values and bounds as visitors know them, who may never have heard of Python."""

import json
import math
from contextlib import suppress
from typing import Any


def told(value: Any) -> str:
    """A JSON value in words: “5”, 5, true, nothing."""
    if isinstance(value, str):
        return f"“{cut(value)}”" if value else "empty"
    if value is None:
        return "nothing"
    if isinstance(value, float) and not math.isfinite(value):
        return "no number at all" if math.isnan(value) else "infinite"
    if isinstance(value, int | float | list | dict):
        with suppress(ValueError, TypeError, RecursionError):
            return cut(json.dumps(value, ensure_ascii=False))
    with suppress(ValueError, RecursionError):
        return cut(str(value))
    return "more than can be shown"  # it is nested too deep, or a number of thousands of digits


def cut(text: str) -> str:
    """The beginning of a text, on one line."""
    text = text if len(text) <= 60 else text[:57] + "..."
    # No line of its own in a log, and nothing that UTF-8 cannot say.
    return "".join(each if each.isprintable() else "\ufffd" for each in text)


def bound(number: float) -> str:
    """A bound as one would write it: 1, and not 1.0."""
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e15 else str(number)
