"""Global scope (the file cannot be called ``global``, which is a Python keyword)."""

from kochi.attention.positions import Positions
from kochi.attention.scopes.base import Scope


class Global(Scope):
    """Attend to every key.

    Luong, Pham and Manning 2015, section 3.1; https://arxiv.org/abs/1508.04025
    """

    def forward(self, positions: Positions) -> None:
        """Return no mask."""
        return None
