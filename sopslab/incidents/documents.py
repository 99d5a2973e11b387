"""Read and write YAML documents of a known form. Reading is strict, and names all problems at once.
Pure."""

from __future__ import annotations

from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from typing_extensions import override

from sopslab.config.inputfile import load_yaml
from sopslab.errors import InputError

_Document = TypeVar("_Document")

# So wide that YAML wraps no text: one fact is one line in a diff.
_WIDTH = 10_000


def parse_document(path: str, text: str, form: TypeAdapter[_Document]) -> _Document:
    """Return the document in the YAML `text` of the file `path`.

    Raises InputError with every problem; each names the file, the place and what is needed.

    + form: the type that the document must have
    """
    data = load_yaml(path, text)
    try:
        return form.validate_python(data)
    except ValidationError as error:
        raise InputError([f"{path}: {_sentence(problem)}" for problem in error.errors()]) from None


class _Dumper(yaml.SafeDumper):
    """A SafeDumper that writes every value in full, without aliases where two days are the same
    object."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def render_document(document: object, form: TypeAdapter[Any]) -> str:
    """Return `document` as YAML, in the order of its fields. The same document always gives the
    same text."""
    text: str = yaml.dump(
        _plain(form.dump_python(document)),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=_WIDTH,
    )
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    # A member of a StrEnum becomes its text.
    return str(value) if isinstance(value, str) else value


def _sentence(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    match problem["type"]:
        case "missing":
            said = "is missing"
        case "unexpected_keyword_argument" | "extra_forbidden":
            said = "there is no such key"
        case "dataclass_type" | "model_type" | "dict_type" | "tuple_type":
            said = "a mapping or a list of another form is needed"
        case "enum":
            said = f"{problem['ctx']['expected']} is needed"
        case "date_type" | "date_from_datetime_inexact":
            said = "a date such as 2026-11-25 is needed, without quotes"
        case _:
            said = str(problem["msg"]).removeprefix("Value error, ")
    # The message does not repeat the input, which may be a secret value in the place of a name.
    return f"{place}: {said}" if place else said
