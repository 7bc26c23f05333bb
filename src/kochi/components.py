"""Slots, and the components that fill them.

A slot takes one of several components: a score, an encoder, a metric. A component is a class whose
constructor is its schema: keyword-only parameters are the options that a user may set; the model
supplies the others, such as sizes. The annotation of an option gives its type and the docstring its
meaning, so that nothing is listed twice.

Components are built in, come from an installed package (an entry point in the group
``kochi.<slot>``), or are named by their path (``"package.module:Class"``).

This module needs only the standard library, so that `kochi.attention` can use it on its own;
`kochi.schema` checks run files.
"""

import difflib
import importlib
import inspect
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any, Generic, TypeVar, cast

Component = TypeVar("Component")
Reference = type | str  # a class, or "module:Class", imported when it is used


class ComponentError(ValueError):
    """Raised when a component cannot be used; the message is one line."""


@dataclass(frozen=True)
class Package:
    """The package of a component that is not built in.

    Attributes:
        name: Name of the distribution, or of the module if it belongs to none.
        version: Version of the distribution; empty if there is none.
    """

    name: str
    version: str = ""

    def __str__(self) -> str:
        """Return the name and version."""
        return f"{self.name} {self.version}".rstrip()


@dataclass(frozen=True)
class Choice(Generic[Component]):
    """A component chosen for a slot.

    Attributes:
        slot: The slot's name.
        kind: The component's name in the slot, or "package.module:Class".
        component: The component's class.
        options: Keyword arguments for the constructor, as the user gave them.
        package: The component's package; None if it is built in.
    """

    slot: str
    kind: str
    component: type[Component]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    package: Package | None = None

    def build(self, **supplied: Any) -> Component:
        """Construct the component.

        Args:
            supplied: Values that the model supplies, by name. The constructor gets those that it
                has parameters for.

        Raises:
            ValueError: The constructor refuses its options or sizes.
            ComponentError: The constructor of another package raises an error.
        """
        taken = {name: supplied[name] for name in _supplied(self.component) if name in supplied}
        if self.package is None:
            return self.component(**taken, **self.options)
        try:
            return self.component(**taken, **self.options)
        except Exception as error:  # third-party code: report any error in one line
            raise ComponentError(
                f"{self.slot} {self.kind!r} of the package {self.package} cannot be built: "
                f"{_in_one_line(error)}"
            ) from error

    def option(self, name: str) -> Any:
        """Return the value of an option or its default; None if there is no such option."""
        parameter = options_of(self.component).get(name)
        default = None if parameter is None else parameter.default
        return self.options.get(name, default)

    @property
    def table(self) -> "str | dict[str, Any]":
        """The choice as a user writes it: a name, or a table with options."""
        return {"kind": self.kind, **self.options} if self.options else self.kind


class Slot(Collection[str], Generic[Component]):
    """A named set of alternative components. Iterating yields their names.

    >>> class Shape: ...
    >>> class Circle(Shape):
    ...     def __init__(self, *, radius: float = 1.0) -> None:
    ...         self.radius = radius
    >>> shapes = Slot("shape", Shape, {"circle": Circle})
    >>> shapes.choose({"kind": "circle", "radius": 2.0}).build().radius
    2.0
    >>> shapes.choose("circel")
    Traceback (most recent call last):
    kochi.components.ComponentError: shape: got 'circel', expected one of 'circle'; did you mean \
'circle'?

    Args:
        name: Name of the slot in run files, messages and entry points.
        base: The base class of every component, or several alternatives.
        builtin: The components that come with kochi, by name.
        supplies: Names of the values that a model supplies to constructors.
    """

    def __init__(
        self,
        name: str,
        base: Reference | tuple[Reference, ...],
        builtin: Mapping[str, Reference],
        supplies: Collection[str] = (),
    ) -> None:
        self.name = name
        self.builtin = dict(builtin)
        self.supplies = tuple(supplies)
        self._base = base if isinstance(base, tuple) else (base,)

    @property
    def bases(self) -> tuple[type, ...]:
        """The base classes, one of which every component extends."""
        return tuple(map(_resolved, self._base))

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the components: built-in ones first, then installed ones."""
        installed = {point.name for point in self._installed()}
        yield from (*self.builtin, *sorted(installed - self.builtin.keys()))

    def __len__(self) -> int:
        """Return the number of components."""
        return len(list(iter(self)))

    def __contains__(self, kind: object) -> bool:
        """Return whether there is a component of that name."""
        return kind in self.builtin or any(point.name == kind for point in self._installed())

    def choose(self, value: Any, trust: Collection[str] | None = None) -> Choice[Component]:
        """Return the component that a user names.

        Args:
            value: A name, or a table with the name as ``kind`` and options.
            trust: Packages whose code may be imported. None allows all, as for the user's own run
                files; for a model folder, pass the packages that the caller trusts.

        Raises:
            ComponentError: There is no component of that name; it is not trusted, cannot be
                imported, or does not belong to this slot; or an option is unknown or missing.
        """
        if not isinstance(value, str | Mapping):
            raise ComponentError(
                f"{self.name}: got {value!r}, expected a name, a table with its kind and options, "
                "or an object"
            )
        table = (
            {"kind": value} if isinstance(value, str) else dict(cast("Mapping[str, Any]", value))
        )
        if "kind" not in table:
            names = ", ".join(map(repr, self))
            raise ComponentError(f"{self.name}: kind is missing; it must be one of {names}")
        kind = table.pop("kind")
        component, package = self._find(kind, trust)
        assert isinstance(kind, str)  # `_find` raises otherwise
        known = options_of(component)
        for option in table:
            if option not in known:
                names = ", ".join(map(repr, known)) or "none"
                raise ComponentError(
                    f"{self.name} {kind!r}: got the option {option!r}, expected {names}"
                    f"{_nearest(option, known)}"
                )
        for option, parameter in known.items():
            if parameter.default is parameter.empty and option not in table:
                raise ComponentError(f"{self.name} {kind!r}: the option {option!r} is missing")
        return Choice(self.name, kind, component, table, package)

    def component(self, kind: str) -> type[Component]:
        """Return the class of a component by its name.

        Raises:
            ComponentError: As in `choose`.
        """
        return self._find(kind, None)[0]

    def _find(
        self, kind: Any, trust: Collection[str] | None
    ) -> tuple[type[Component], Package | None]:
        if isinstance(kind, str) and kind in self.builtin:
            return _resolved(self.builtin[kind]), None
        points = self._points(kind)
        if points:
            package, path = self._only(points), points[0].value
        elif isinstance(kind, str) and ":" in kind:
            package, path = _package_of(kind.partition(":")[0].partition(".")[0]), kind
        else:
            raise ComponentError(self._unknown(kind))
        if not is_trusted(package.name, trust):
            raise ComponentError(
                f"{self.name} {kind!r} runs code of the package {package}, which is not trusted; "
                f"if you trust it, allow it with trust=[{package.name!r}] or --trust {package.name}"
            )
        return self._imported(path, kind, package), package

    def _points(self, kind: Any) -> list[EntryPoint]:
        points = [point for point in self._installed() if point.name == kind]
        if not points and not (isinstance(kind, str) and ":" in kind):
            installed.cache_clear()  # the package may have been installed since, as in a notebook
            points = [point for point in self._installed() if point.name == kind]
        return points

    def _only(self, points: list[EntryPoint]) -> Package:
        """Return the package of the entry points, which must all belong to the same one."""
        packages = sorted({str(_package_of_point(point)) for point in points})
        if len(packages) > 1:
            raise ComponentError(
                f"{self.name} {points[0].name!r} comes with {' and '.join(packages)}; uninstall "
                f"one of them, or name the class by its path, such as {points[0].value!r}"
            )
        return _package_of_point(points[0])

    def _unknown(self, kind: Any) -> str:
        names = list(self)
        known = ", ".join(map(repr, names))
        return f"{self.name}: got {kind!r}, expected one of {known}{_nearest(kind, names)}"

    def _imported(self, path: str, kind: str, package: Package) -> type[Component]:
        module, _, attribute = path.partition(":")
        try:
            component = getattr(importlib.import_module(module), attribute)
        except Exception as error:  # third-party code: report any error in one line
            raise ComponentError(
                f"{self.name} {kind!r} of the package {package} cannot be imported: "
                f"{_in_one_line(error)}"
            ) from error
        if not isinstance(component, type) or not issubclass(component, self.bases):
            names = " or ".join(base.__name__ for base in self.bases)
            what = component.__name__ if isinstance(component, type) else repr(component)
            raise ComponentError(f"{self.name}: got {kind!r}, a {what}, expected a {names}")
        for name, parameter in _supplied(component).items():
            if name not in self.supplies and parameter.default is parameter.empty:
                supplied = ", ".join(self.supplies) or "nothing"
                raise ComponentError(
                    f"{self.name} {kind!r}: its constructor requires {name!r}, but a {self.name} "
                    f"is given {supplied}; make options keyword-only (after a *)"
                )
        return component

    def _installed(self) -> Collection[EntryPoint]:
        return installed(f"kochi.{self.name}", tuple(sys.path))


@cache
def installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group; installed packages are scanned once per path.

    Args:
        group: The group of the entry points.
        path: The search path of Python, `sys.path`.
    """
    return tuple(entry_points(group=group))


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _nearest(name: object, known: Collection[str]) -> str:
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


@cache
def options_of(component: type) -> Mapping[str, inspect.Parameter]:
    """Return the options of a component: the keyword-only parameters of its constructor."""
    return {
        name: parameter
        for name, parameter in inspect.signature(component).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def is_trusted(package: str, trust: Collection[str] | None) -> bool:
    """Return whether a package is trusted to run code; None trusts all.

    >>> is_trusted("kochi-numbers", ["kochi_numbers"]), is_trusted("kochi-numbers", [])
    (True, False)
    """
    return trust is None or _normal(package) in set(map(_normal, trust))


@cache
def _supplied(component: type) -> Mapping[str, inspect.Parameter]:
    parameters = inspect.signature(component).parameters
    return {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }


def _resolved(reference: Reference) -> type:
    if isinstance(reference, type):
        return reference
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


def _package_of_point(point: EntryPoint) -> Package:
    dist = point.dist
    return Package(point.value) if dist is None else Package(dist.name, dist.version)


def _package_of(module: str) -> Package:
    """Return the distribution that provides a module, or the module itself."""
    from importlib.metadata import packages_distributions

    name = next(iter(packages_distributions().get(module, ())), module)
    try:
        return Package(name, version(name))
    except PackageNotFoundError:
        return Package(name)


def _normal(name: str) -> str:
    """Normalise the name of a distribution or of its module (PEP 503)."""
    return name.lower().replace("-", "_").replace(".", "_")


__all__ = ["Choice", "ComponentError", "Package", "Slot"]
