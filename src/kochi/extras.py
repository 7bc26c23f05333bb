"""Optional packages, and the extras of kochi that install them."""

import sys
from importlib.util import find_spec

from kochi.errors import UserError

EXTRAS = {
    "PIL": ("image", "pictures"),
    "datasets": ("huggingface", "data sets of the Hugging Face hub"),
    "lightning_fabric": ("train", "training"),
    "matplotlib": ("viz", "drawing"),
    "scipy": ("studies", "studies"),
    "soundfile": ("audio", "recordings"),
    "soxr": ("audio", "recordings"),
    "tensorboard": ("train", "training"),
}


def need(*packages: str) -> None:
    """Require optional packages.

    Args:
        packages: Import names, from `EXTRAS`.

    Raises:
        UserError: A package is not installed; the message names the extra.
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
    package = package.replace("_", "-")
    verb = "needs" if use.endswith("ing") else "need"
    return UserError(
        f"{use} {verb} the package {package}; install it with: pip install 'kochi[{extra}]'"
    )
