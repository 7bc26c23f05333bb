"""The worked example at the end of each verb's help."""

from collections.abc import Callable
from typing import Any, TypeVar

Verb = TypeVar("Verb", bound=Callable[..., Any])


def worked_example(*lines: str) -> Callable[[Verb], Verb]:
    """Attach an example: lines with ``$`` are commands, which a test runs in this order."""

    def attach(verb: Verb) -> Verb:
        # "\b" keeps the help's layout from joining the lines.
        setattr(verb, "example", "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines))  # noqa: B010
        return verb

    return attach
