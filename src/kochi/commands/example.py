"""The worked example at the end of each subcommand's help."""

from collections.abc import Callable
from typing import Any, TypeVar

Verb = TypeVar("Verb", bound=Callable[..., Any])


def worked_example(*lines: str) -> Callable[[Verb], Verb]:
    """Attach an example. Lines with ``$`` are commands; a test runs them in order."""

    def attach(verb: Verb) -> Verb:
        # "\b" keeps click from rewrapping the lines.
        setattr(verb, "example", "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines))  # noqa: B010
        return verb

    return attach
