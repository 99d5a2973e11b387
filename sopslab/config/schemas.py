"""JSON Schemas of the files that people write, made from the models that validate these files.

What a schema refuses, `sopslab up` refuses, too. A schema cannot express every rule: how two
settings depend on each other, that no id is there twice, that `1.0` is no integer.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from sopslab.config.defaults import explained
from sopslab.config.machines import PORT
from sopslab.config.roster import MAX_LEARNERS
from sopslab.config.roster_values import MACHINE
from sopslab.config.settings import (
    Email,
    HostKey,
    HostName,
    Line,
    Login,
    Moment,
    Port,
    SeatId,
    Settings,
)

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


_PortText = Annotated[str, Field(json_schema_extra={"pattern": f"^({PORT.pattern})$"})]


class Entry(BaseModel):
    """A learner."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "dependentRequired": {key: ["host"] for key in MACHINE if key != "host"}
        },
    )

    id: SeatId
    name: Line
    # An empty value in a file counts as left out.
    email: Email | Literal[""] | None = None
    group: Line | Literal[""] | None = None
    expires: Moment | Literal[""] | None = None
    host: HostName | Literal[""] | None = None
    user: Login | Literal[""] | None = None
    port: Port | _PortText | Literal[""] | None = None
    hostkey: HostKey | Literal[""] | None = None


_Entries = Annotated[list[Entry], Field(max_length=MAX_LEARNERS)]


class Roster(BaseModel):
    """The learners of a class."""

    model_config = ConfigDict(extra="forbid")

    learners: _Entries


def roster_schema() -> dict[str, Any]:
    """Return the schema of a roster in YAML."""
    adapter: TypeAdapter[Any] = TypeAdapter(Roster | _Entries)
    return {"$schema": _DIALECT, "title": "A roster of sops-lab", **adapter.json_schema()}


def lab_schema() -> dict[str, Any]:
    """Return the schema of a lab file. Every setting may be left out: it then has its default."""
    schema = Settings.model_json_schema()
    del schema["required"]
    comments, _ = explained()
    for name, part in schema["properties"].items():
        allowed = part.get("description")
        part["description"] = f"{comments[name]} ({allowed})" if allowed else comments[name]
    return {"$schema": _DIALECT, **schema, "title": "A lab file of sops-lab"}
