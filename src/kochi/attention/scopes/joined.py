"""Scopes joined: what all of them let a query see."""

from collections.abc import Sequence

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kochi.attention.history import Past
from kochi.attention.positions import Positions
from kochi.attention.scopes.base import AnyScope, PredictedScope, RecurrentScope, Scope, Window
from kochi.attention.scopes.causal import Causal
from kochi.attention.scopes.everything import Global
from kochi.attention.scopes.sliding_window import SlidingWindow


def join_scopes(scopes: Sequence[AnyScope]) -> AnyScope:
    """Return the scope that sees what all of them see.

    A causal scope and sliding windows become one sliding window, which has fast kernels.

    >>> window = join_scopes([Causal(), SlidingWindow(left=8, right=3), SlidingWindow(left=9)])
    >>> type(window).__name__, window.left, window.right
    ('SlidingWindow', 8, 0)

    Args:
        scopes: Any number that go by positions, and at most one that predicts its window or looks
            back, whose window or bias lies on top.

    Raises:
        ValueError: More than one predicts or looks back.
    """
    plain = [scope for scope in scopes if isinstance(scope, Scope)]
    others = [scope for scope in scopes if not isinstance(scope, Scope)]
    if not others:
        return _intersect(plain)
    if len(others) > 1:
        names = " and ".join(type(scope).__name__ for scope in others)
        raise ValueError(
            f"scope: {names} cannot join: each says in its own way how much a place counts, and "
            "none says how both would; keep one of them, beside any number of scopes that go by "
            "positions ('causal', 'sliding_window', 'local_m')"
        )
    one = others[0]
    within = _intersect(plain if one.within is None else [*plain, one.within])
    if isinstance(within, Global):
        return one
    if isinstance(one, PredictedScope):
        return PredictedWithin(one, within)
    return RecurrentWithin(one, within)


def _intersect(scopes: Sequence[Scope]) -> Scope:
    """Join scopes that go by positions, as few as will do."""
    windows, rest, causal = [], [], False
    for scope in _flatten(scopes):
        if type(scope) is SlidingWindow:
            windows.append(scope)
        elif type(scope) is Causal:
            causal = True
        elif type(scope) is not Global:
            rest.append(scope)
    if windows:
        right = 0 if causal else min(window.right for window in windows)
        rest.insert(0, SlidingWindow(left=min(window.left for window in windows), right=right))
    elif causal:
        rest.insert(0, Causal())
    if not rest:
        return Global()
    return rest[0] if len(rest) == 1 else Intersection(rest)


def _flatten(scopes: Sequence[Scope]) -> list[Scope]:
    return [
        part
        for scope in scopes
        for part in (scope.parts if isinstance(scope, Intersection) else [scope])
    ]


class Intersection(Scope):
    """Let a query see the keys that several scopes let it see; made by `join_scopes`.

    Args:
        scopes: Scopes that go by positions.
    """

    def __init__(self, scopes: Sequence[Scope]) -> None:
        super().__init__()
        self.scopes = nn.ModuleList(scopes)

    @property
    def parts(self) -> list[Scope]:
        """The scopes."""
        return [scope for scope in self.scopes if isinstance(scope, Scope)]

    def forward(
        self, positions: Positions
    ) -> Bool[Tensor, "target source"] | Bool[Tensor, "batch target source"] | None:
        """Intersect what they see."""
        whole = None
        for scope in self.parts:
            seen = scope(positions)
            if seen is not None:
                whole = seen if whole is None else whole & seen
        return whole


class PredictedWithin(PredictedScope):
    """Let each query say where its window lies, within what positions let it see.

    Args:
        scope: Predicts the windows.
        within: Goes by positions.
    """

    def __init__(self, scope: PredictedScope, within: Scope) -> None:
        super().__init__()
        self.scope, self.bounds = scope, within

    @property
    def within(self) -> Scope:
        """See `PredictedScope.within`."""
        return self.bounds

    def forward(
        self,
        query: Float[Tensor, "batch heads target query_size"],
        positions: Positions,
        lengths: Int[Tensor, " batch"],
    ) -> Window:
        """Return the windows, which whoever asks cuts to what is `within`."""
        return self.scope(query, positions, lengths)


class RecurrentWithin(RecurrentScope):
    """Weigh places by where earlier queries looked, within what positions let a query see.

    Args:
        scope: Looks back.
        within: Goes by positions.
    """

    def __init__(self, scope: RecurrentScope, within: Scope) -> None:
        super().__init__()
        self.scope, self.bounds = scope, within

    @property
    def within(self) -> Scope:
        """See `RecurrentScope.within`."""
        return self.bounds

    def forward(self, past: Past) -> Float[Tensor, "batch heads target source"]:
        """Return what is added to the scores."""
        return self.scope(past)
