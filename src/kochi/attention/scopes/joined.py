"""Joined scopes: positions that all of several scopes allow."""

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
    """Return a scope that allows the positions that all of the given scopes allow.

    Causal scopes and sliding windows are merged to one sliding window, which has fast kernels.

    >>> window = join_scopes([Causal(), SlidingWindow(left=8, right=3), SlidingWindow(left=9)])
    >>> type(window).__name__, window.left, window.right
    ('SlidingWindow', 8, 0)

    Args:
        scopes: Any number of `Scope` instances, and at most one `PredictedScope` or
            `RecurrentScope`, whose window or bias is applied in addition.

    Raises:
        ValueError: More than one scope is predicted or recurrent.
    """
    plain = [scope for scope in scopes if isinstance(scope, Scope)]
    others = [scope for scope in scopes if not isinstance(scope, Scope)]
    if not others:
        return _intersect(plain)
    if len(others) > 1:
        names = " and ".join(type(scope).__name__ for scope in others)
        raise ValueError(
            f"scope: {names} cannot be joined: each weights positions in its own way; keep one of "
            "them, with any number of scopes that depend on positions alone ('causal', "
            "'sliding_window', 'local_m')"
        )
    one = others[0]
    within = _intersect(plain if one.within is None else [*plain, one.within])
    if isinstance(within, Global):
        return one
    if isinstance(one, PredictedScope):
        return PredictedWithin(one, within)
    return RecurrentWithin(one, within)


def _intersect(scopes: Sequence[Scope]) -> Scope:
    """Join scopes that depend on positions alone, merging them where possible."""
    windows: list[SlidingWindow] = []
    rest: list[Scope] = []
    causal = False
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
    """Attend to the keys that all of several scopes allow; created by `join_scopes`.

    Args:
        scopes: Scopes that depend on positions alone.
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
        """Intersect the masks of the scopes."""
        whole = None
        for scope in self.parts:
            mask = scope(positions)
            if mask is not None:
                whole = mask if whole is None else whole & mask
        return whole


class PredictedWithin(PredictedScope):
    """A predicted window within another scope.

    Args:
        scope: The scope that predicts the windows.
        within: The scope that limits them.
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
        """Predict the windows; the caller limits them to `within`."""
        return self.scope(query, positions, lengths)


class RecurrentWithin(RecurrentScope):
    """A recurrent scope within another scope.

    Args:
        scope: The scope that depends on earlier alignments.
        within: The scope that limits the positions.
    """

    def __init__(self, scope: RecurrentScope, within: Scope) -> None:
        super().__init__()
        self.scope, self.bounds = scope, within

    @property
    def within(self) -> Scope:
        """See `RecurrentScope.within`."""
        return self.bounds

    def forward(self, past: Past) -> Float[Tensor, "batch heads target source"]:
        """Return the bias of the scores."""
        return self.scope(past)
