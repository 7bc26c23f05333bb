"""Global scope (the file is not called ``global``: that is a word of Python)."""

from kochi.attention.positions import Positions
from kochi.attention.scopes.base import Scope


class Global(Scope):
    """Let every query see every key.

    Luong, Pham and Manning 2015, section 3.1; https://arxiv.org/abs/1508.04025
    """

    def forward(self, positions: Positions) -> None:
        """Hide nothing."""
        return None
