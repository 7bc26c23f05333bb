"""Packages that only some uses need, and the extras of kochi that bring them."""

import sys
from importlib.util import find_spec

from kochi.errors import UserError

EXTRAS = {
    "PIL": ("image", "pictures"),
    "datasets": ("huggingface", "data sets of the Hugging Face hub"),
    "lightning": ("train", "training"),
    "matplotlib": ("viz", "drawing"),
    "scipy": ("studies", "studies"),
    "soundfile": ("audio", "recordings"),
    "soxr": ("audio", "recordings"),
    "tensorboard": ("train", "training"),
}


def need(*packages: str) -> None:
    """Refuse what cannot be done without packages that are not installed.

    Args:
        packages: As they are imported; of `EXTRAS`.

    Raises:
        UserError: One is not there; the line names the extra.
    """
    for package in packages:
        there = sys.modules[package] if package in sys.modules else find_spec(package)
        if there is None:
            raise missing(package)


def missing(package: str) -> UserError:
    """Return the error for a package of `EXTRAS` that is not installed.

    >>> str(missing("soxr"))
    "recordings need the package soxr; install it with: pip install 'kochi[audio]'"
    """
    extra, use = EXTRAS[package]
    verb = "needs" if use.endswith("ing") else "need"
    return UserError(
        f"{use} {verb} the package {package}; install it with: pip install 'kochi[{extra}]'"
    )
