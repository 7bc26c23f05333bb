"""Checks of the options of parts."""


def check_count(name: str, value: int, lowest: int = 1) -> None:
    """Refuse what is not a whole number of at least ``lowest``.

    >>> check_count("width", 0)
    Traceback (most recent call last):
    ValueError: width: got 0, expected a whole number of 1 or more
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ValueError(f"{name}: got {value!r}, expected a whole number of {lowest} or more")


def check_positive(name: str, value: float) -> None:
    """Refuse what is not a finite number above 0.

    >>> check_positive("ratio", -0.5)
    Traceback (most recent call last):
    ValueError: ratio: got -0.5, expected a finite number above 0
    """
    if not 0.0 < value < float("inf"):
        raise ValueError(f"{name}: got {value!r}, expected a finite number above 0")
