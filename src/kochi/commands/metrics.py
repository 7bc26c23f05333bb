"""The option ``--metric``."""

from collections.abc import Collection

from kochi.components import ComponentError
from kochi.errors import UserError


def check_metric(name: str, also: Collection[str] = ()) -> None:
    """Refuse an unknown metric.

    Args:
        name: What the user typed: a name, or the path of a class.
        also: Other names to accept.

    Raises:
        UserError: The metric is unknown.
    """
    from kochi.metrics import METRICS

    if name in also:
        return
    try:
        METRICS.choose(name)
    except ComponentError as error:
        reason = str(error)
        if also and ":" not in name:
            reason = f"{reason}; or, for images, {' or '.join(also)}"
        raise UserError(f"--{reason}") from None
