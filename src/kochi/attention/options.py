"""Sizes that components are built with, and checks of their options."""

import math

# Sizes inside a head: of a query, of a key (equal after projection), and the number of heads.
SIZES = ("query_size", "key_size", "num_heads")


def check_count(name: str, value: object, lowest: int = 1) -> None:
    """Refuse a value that is not an integer of at least ``lowest``.

    >>> check_count("width", 0)
    Traceback (most recent call last):
    ValueError: width: got 0, expected a whole number of 1 or more
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ValueError(f"{name}: got {value!r}, expected a whole number of {lowest} or more")


def is_number(value: object) -> bool:
    """Return whether a value is a finite number; booleans are not numbers.

    >>> is_number(0), is_number(0.5), is_number(float("nan")), is_number("0"), is_number(True)
    (True, True, False, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_number(name: str, value: float) -> None:
    """Refuse a value that is not a finite number.

    >>> check_number("offset", float("nan"))
    Traceback (most recent call last):
    ValueError: offset: got nan, expected a finite number
    """
    if not is_number(value):
        raise ValueError(f"{name}: got {value!r}, expected a finite number")


def check_positive(name: str, value: float) -> None:
    """Refuse a value that is not a finite number above 0.

    >>> check_positive("ratio", -0.5)
    Traceback (most recent call last):
    ValueError: ratio: got -0.5, expected a finite number above 0
    """
    if not is_number(value) or value <= 0:
        raise ValueError(f"{name}: got {value!r}, expected a finite number above 0")
