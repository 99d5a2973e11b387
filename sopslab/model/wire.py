"""What this project's programs tell one another: names of functions, and dataclasses as JSON."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Return a value in a form that JSON can represent. Raises TypeError if there is none."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = dataclasses.fields(value)
        return {field.name: encode(getattr(value, field.name)) for field in named}
    if isinstance(value, Mapping):
        return {_name(key): encode(each) for key, each in value.items()}
    if isinstance(value, AbstractSet):
        return sorted(encode(each) for each in value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [encode(each) for each in value]
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def _name(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the names of an object in JSON are text, not {type(key).__name__}")
    return key


def decode(kind: Any, data: Any) -> Any:
    """Return the value of a kind from which `encode` made the data.

    Raises ValueError if the data is of another form, and also if a field is missing or unknown.

    + kind: a dataclass, an Enum, a type of JSON, or a collection or union of them
    """
    if kind is Any or kind is object:
        return data
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _one_of(arguments, data)
    if origin is Literal:
        if data not in arguments:
            raise ValueError(f"one of {', '.join(map(str, arguments))} was expected")
        return data
    if origin in (list, Sequence):
        return [decode(arguments[0], each) for each in _expected(list, data)]
    if origin in (tuple, set, frozenset):
        return origin(decode(arguments[0], each) for each in _expected(list, data))
    if origin in (dict, Mapping):
        items = _expected(dict, data).items()
        return {name: decode(arguments[1], each) for name, each in items}
    if dataclasses.is_dataclass(kind):
        return _of_class(kind, _expected(dict, data))
    if kind is None or kind is types.NoneType:
        return _expected(types.NoneType, data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    return _expected(kind, data)


def decoded(kind: type[T], text: bytes | None) -> T | None:
    """Return the value of a kind from the JSON text of a record; None without a record, or if it is
    of another form."""
    try:
        value: T = decode(kind, json.loads(text or b""))
    except (ValueError, RecursionError):
        return None
    return value


def name_of(function: Callable[..., Any]) -> str:
    """Return the name by which `python -m sopslab.lab` knows one of its functions."""
    return f"{function.__module__.removeprefix('sopslab.lab.')}.{function.__name__}"


def _one_of(kinds: tuple[Any, ...], data: Any) -> Any:
    if data is None and types.NoneType in kinds:
        return None
    for kind in kinds:
        try:
            return decode(kind, data)
        except ValueError:
            continue
    raise ValueError(f"{type(data).__name__} is none of what was expected")


def _expected(kind: type, data: Any) -> Any:
    # JSON's true is not a number, though Python takes it for one.
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise ValueError(f"{kind.__name__} was expected, not {type(data).__name__}")
    return data


def _of_class(kind: Any, data: dict[str, Any]) -> Any:
    hints = _hints(kind)
    named = {field.name for field in dataclasses.fields(kind)}
    if named != set(data):
        raise ValueError(f"{kind.__name__} has other fields than {', '.join(sorted(data))}")
    return kind(**{name: decode(hints[name], each) for name, each in data.items()})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
