"""Methods that run the hooks of their module, as calling the module does.

PyTorch runs forward hooks when a module is called. Pruning, weight normalisation and FSDP rely on
them to prepare the weights, so every method that reads weights must run them too.
"""

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from torch import nn

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=nn.Module)


def has_hooks(module: nn.Module) -> bool:
    """Return whether calling the module runs forward hooks."""
    own: Any = module
    return bool(own._forward_pre_hooks or own._forward_hooks)


def hooked(method: Callable[Concatenate[M, P], R]) -> Callable[Concatenate[M, P], R]:
    """Make a method of a module run the module's forward hooks, before and after."""

    @functools.wraps(method)
    def call(self: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if has_hooks(self):
            return _run(self, functools.partial(method, self), args, kwargs)
        return method(self, *args, **kwargs)

    return call


def call_prepared(method: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a bound method of a module after the hooks that prepare the module.

    Hooks after a call are for what the call itself returns, such as scores; they do not run.
    """
    module: nn.Module = method.__self__  # pyright: ignore[reportFunctionMemberAccess]
    if has_hooks(module):
        args, kwargs = cast(Any, _prepare(module, args, kwargs))
    return method(*args, **kwargs)


def _prepare(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Run the hooks before a call; return its arguments, which they may change."""
    for key, before in tuple(module._forward_pre_hooks.items()):
        if key in module._forward_pre_hooks_with_kwargs:
            changed = before(module, args, kwargs)
            args, kwargs = (args, kwargs) if changed is None else changed
        else:
            changed = before(module, args)
            if changed is not None:
                args = cast("tuple[Any, ...]", changed if type(changed) is tuple else (changed,))
    return args, kwargs


def _run(
    module: Any, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    args, kwargs = _prepare(module, args, kwargs)
    output: Any = method(*args, **kwargs)
    for key, after in tuple(module._forward_hooks.items()):
        with_kwargs = key in module._forward_hooks_with_kwargs
        rest = (args, kwargs, output) if with_kwargs else (args, output)
        changed = after(module, *rest)
        output = output if changed is None else changed
    return output
