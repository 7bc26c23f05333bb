"""Components in run files: constructors and docstrings provide the schema of options."""

import inspect
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any, cast, get_type_hints

import docstring_parser
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    create_model,
)
from pydantic_core import PydanticCustomError, core_schema

from kochi.components import Choice, ComponentError, Package, Slot, options_of

_BY_PATH = {"type": "string", "pattern": ":", "description": "package.module:Class"}
COMPONENT = "component"  # the type of pydantic's error where a component cannot be used


class Chosen:
    """Annotate a field that holds a component: ``Annotated[Choice, Chosen("module:SLOT")]``.

    A name, or a table with the name as ``kind`` and options, is validated to a `Choice`, which is
    serialised in the same form. Components of a model folder are imported only if the validation
    context allows it: ``context={"trust": ["package"]}``.

    Args:
        slot: Path of the slot, which is imported when the first value is validated.
        several: Also accept a list of components, which becomes a list of choices.
    """

    def __init__(self, slot: str, several: bool = False) -> None:
        self._path = slot
        self._several = several

    @property
    def slot(self) -> Slot[Any]:
        """The slot."""
        return _slot(self._path)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Validate values against the slot, and serialise choices as tables."""

        def check(value: Any, info: Any) -> Any:  # a pydantic.ValidationInfo
            context: Mapping[str, Any] = info.context or {}
            trust: Collection[str] | None = context.get("trust")
            if self._several and isinstance(value, list | tuple):
                return [_choose(self.slot, one, trust) for one in cast("Collection[Any]", value)]
            return _choose(self.slot, value, trust)

        return core_schema.with_info_plain_validator_function(
            check, serialization=core_schema.plain_serializer_function_ser_schema(_table)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe all components of the slot, built in and installed."""
        names = list(self.slot)
        one: dict[str, Any] = {
            "anyOf": [
                {"enum": names},
                *(_json_table(name, self.slot.component(name), handler) for name in names),
                _BY_PATH,
            ]
        }
        return {"anyOf": [one, {"type": "array", "items": one}]} if self._several else one


class ChosenName:
    """Annotate a field that holds the name of a component without options.

    Args:
        slot: Path of the slot.
        also: Other values to accept.
    """

    def __init__(self, slot: str, also: Collection[str] = ()) -> None:
        self._path = slot
        self._also = tuple(also)

    @property
    def slot(self) -> Slot[Any]:
        """The slot."""
        return _slot(self._path)

    def package(self, name: str) -> Package | None:
        """Return the package of a component; None if it is built in."""
        return None if name in self._also else self.slot.choose(name).package

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Validate names against the slot."""

        def check(value: Any, info: Any) -> str:  # a pydantic.ValidationInfo
            if value in self._also:
                return value
            context: Mapping[str, Any] = info.context or {}
            choice = _choose(self.slot, value, context.get("trust"))
            if choice.options:
                reason = f"{choice.kind!r} takes no options here; give its name only"
                raise PydanticCustomError(COMPONENT, "{reason}", {"reason": reason})
            return choice.kind

        return core_schema.with_info_plain_validator_function(check)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the names of all components of the slot."""
        return {"anyOf": [{"enum": [*self.slot, *self._also]}, _BY_PATH]}


@cache
def schema_of(component: type) -> type[BaseModel]:
    """Return the schema of a component's options, from its constructor and docstring.

    Raises:
        ComponentError: An option has no type annotation, so that its values cannot be checked.
    """
    descriptions = {
        entry.arg_name: " ".join((entry.description or "").split())
        for entry in docstring_parser.parse(inspect.getdoc(component) or "").params
    }
    hints = get_type_hints(component.__init__, include_extras=True)
    for name in options_of(component):
        if name not in hints:
            raise ComponentError(
                f"{component.__qualname__}: the option {name!r} has no type; annotate it, as in "
                f"`{name}: float = 1.0`"
            )
    fields: dict[str, Any] = {
        name: (
            hints[name],
            Field(
                ... if parameter.default is parameter.empty else parameter.default,
                description=descriptions.get(name),
            ),
        )
        for name, parameter in options_of(component).items()
    }
    closed = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
    return create_model(component.__name__, __config__=closed, **fields)


def packages_of(table: Any) -> dict[str, str]:
    """Return the packages of all components in a table of a run file, with their versions.

    Args:
        table: A pydantic model, or any value of its fields.
    """
    packages: dict[str, str] = {}
    if isinstance(table, Choice):
        if table.package is not None:
            packages[table.package.name] = table.package.version
        table = dict(table.options)
    if isinstance(table, BaseModel):
        for name in type(table).model_fields:
            for chosen in _chosen_names(type(table), name):
                package = chosen.package(getattr(table, name))
                packages |= {} if package is None else {package.name: package.version}
        table = dict(table)
    values = cast("dict[str, Any]", table).values() if isinstance(table, dict) else table
    if isinstance(values, str) or not isinstance(values, Iterable):
        return packages
    for value in cast("Iterable[Any]", values):
        packages |= packages_of(value)
    return packages


def _chosen_names(table: type[BaseModel], name: str) -> set[ChosenName]:
    """Return how a field chooses a component; a subclass may have declared the field anew."""
    fields = (vars(base).get("__pydantic_fields__", {}).get(name) for base in table.__mro__)
    found = (one for field in fields if field is not None for one in field.metadata)
    return {one for one in found if isinstance(one, ChosenName)}


def _slot(path: str) -> Slot[Any]:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def _choose(slot: Slot[Any], value: Any, trust: Collection[str] | None) -> Choice[Any]:
    if isinstance(value, Choice):
        return cast("Choice[Any]", value)
    try:
        choice = slot.choose(value, trust)
    except ComponentError as error:
        reason = str(error).removeprefix(f"{slot.name}: ")  # the run file's key already names it
        raise PydanticCustomError(COMPONENT, "{reason}", {"reason": reason}) from None
    try:
        options = schema_of(choice.component).model_validate(
            dict(choice.options), context={"trust": trust}
        )
    except ComponentError as error:
        reason = f"{slot.name} {choice.kind!r}: {error}"
        raise PydanticCustomError(COMPONENT, "{reason}", {"reason": reason}) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = ".".join(map(str, first["loc"]))
        reason = f"{slot.name} {choice.kind!r}: {option} = {first['input']!r}: {first['msg']}"
        raise PydanticCustomError(COMPONENT, "{reason}", {"reason": reason}) from None
    return replace(choice, options={name: getattr(options, name) for name in choice.options})


def _table(value: Any) -> Any:
    """Serialise choices, and tables in their options, as a user writes them."""
    match value:
        case Choice():
            return _table(value.table)
        case BaseModel():
            return value.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        case dict():
            table = cast("dict[str, Any]", value)
            return {key: _table(one) for key, one in table.items() if one is not None}
        case list() | tuple():
            return [_table(one) for one in cast("Collection[Any]", value)]
        case _:
            return value


def _json_table(kind: str, component: type, handler: GetJsonSchemaHandler) -> dict[str, Any]:
    schema = handler.resolve_ref_schema(handler(schema_of(component).__pydantic_core_schema__))
    summary = (inspect.getdoc(component) or "").partition("\n")[0]
    return {
        "type": "object",
        "title": kind,
        "description": summary,
        "properties": {"kind": {"const": kind}, **schema.get("properties", {})},
        "required": ["kind", *schema.get("required", [])],
        "additionalProperties": False,
    }
