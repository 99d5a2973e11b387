"""The JSON Schemas for editors say what the models say, as far as a schema can."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from pydantic import TypeAdapter

from sopslab.cli.main import main
from sopslab.config import settings
from sopslab.config.labfile import read_lab_file
from sopslab.config.roster import read_roster
from sopslab.config.schemas import lab_schema, roster_schema
from sopslab.config.settings import Settings, load_settings
from sopslab.errors import InputError
from sopslab.layout import PROJECT

DATA = Path(__file__).parents[1] / "data" / "settings"
CASES = sorted(DATA.glob("*valid/*.yaml"))
# Rules about two settings at once, and a number that JSON Schema takes for an integer.
BEYOND = {
    "accept-of-kind",
    "class-on-loopback",
    "existing-without-context",
    "expires-no-day",
    "faults-clash",
    "git-in-cluster-and-elsewhere",
    "git-in-cluster-node-port",
    "git-in-cluster-of-kind",
    "git-in-cluster-without-registry",
    "git-cluster-url-not-certified",
    "git-cluster-url-plain",
    "git-url-without-account",
    "incident-no-day",
    "instructor-key-elsewhere",
    "instructor-recipient-checksum",
    "instructor-recipient-kind",
    "kind-with-context",
    "lease-of-an-existing-cluster",
    "port-float",
    "recreate-existing",
    "same-port-twice",
    "spares-and-learner",
    "spares-elsewhere",
}


def as_editors_read_it(
    validator: Validator, pattern: str, instance: object, _schema: object
) -> Iterator[ValidationError]:
    """Judge by a pattern; its `$` matches only at the end of the text, and not before a last
    newline."""
    pattern = pattern.removesuffix("$") + r"\Z"
    if isinstance(instance, str) and not re.search(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


Judge = extend(Draft202012Validator, {"pattern": as_editors_read_it})


def judge(schema: dict[str, Any]) -> Validator:
    Judge.check_schema(schema)
    validator: Validator = Judge(schema)
    return validator


LAB, ROSTER = judge(lab_schema()), judge(roster_schema())


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_lab_file_is_judged_as_by_the_model(
    path: Path, lab_data: Callable[..., dict[str, Any]]
) -> None:
    given = read_lab_file(str(path))
    try:
        load_settings(lab_data(**given))
        accepted = True
    except InputError:
        accepted = False
    assert LAB.is_valid(given) == (accepted or path.stem in BEYOND)


def test_the_settings_that_are_shown_as_examples_are_valid() -> None:
    shown = re.findall(r"```yaml\n(.*?)```", (PROJECT / "README.md").read_text(), re.S)
    labs = [data for data in map(yaml.safe_load, shown) if "learners" not in data]
    assert labs
    assert [error.message for data in labs for error in LAB.iter_errors(data)] == []


ROSTERS = {
    "list": "[{id: ada, name: Ada Lovelace}]",
    "everything": "learners: [{id: ada, name: Ada, email: ada@example.org, group: table 1}]",
    "nothing": "learners: []",
    "empty-values": "learners: [{id: ada, name: Ada, email: , group: ''}]",
    "no-name": "learners: [{id: ada}]",
    "empty-name": "learners: [{id: ada, name: ''}]",
    "another-key": "learners: [{id: ada, name: Ada, e-mail: ada@example.org}]",
    "another-top": "students: [{id: ada, name: Ada}]",
    "number": "learners: [{id: 7, name: Ada}]",
    "reserved": "learners: [{id: lab-one, name: Ada}]",
    "kubernetes": "learners: [{id: kube-public, name: Ada}]",
    "long": f"learners: [{{id: {'a' * 41}, name: Ada}}]",
    "capital": "learners: [{id: Ada, name: Ada}]",
    "address": "learners: [{id: ada, name: Ada, email: ada at home}]",
    "text": "learners: ada",
    "machine": "[{id: ada, name: Ada, host: seat-7.example.org, user: teacher, port: 2222}]",
    "machine-port-in-quotes": "[{id: ada, name: Ada, host: seat-7, port: '22', hostkey: ''}]",
    "machine-option": "[{id: ada, name: Ada, host: -oProxyCommand=id}]",
    "machine-user": "[{id: ada, name: Ada, host: seat, user: a b}]",
    "machine-port": "[{id: ada, name: Ada, host: seat, port: 0}]",
    "machine-hostkey": "[{id: ada, name: Ada, host: seat, hostkey: ssh-ed25519}]",
    "machine-without-host": "[{id: ada, name: Ada, user: teacher}]",
    "crowd": yaml.safe_dump([{"id": f"s{n}", "name": "Ada"} for n in range(1001)]),
}


@pytest.mark.parametrize("name", ROSTERS)
def test_a_roster_is_judged_as_by_its_reader(name: str, tmp_path: Path) -> None:
    path = tmp_path / "class.yaml"
    path.write_text(ROSTERS[name])
    try:
        read_roster(str(path))
        accepted = True
    except InputError:
        accepted = False
    assert ROSTER.is_valid(yaml.safe_load(ROSTERS[name])) == accepted


def test_the_example_roster_is_valid() -> None:
    for path in (PROJECT / "inventories" / "rosters").glob("*.yaml"):
        assert ROSTER.is_valid(yaml.safe_load(path.read_text()))


TYPES = ("Label", "SeatId", "AbsolutePath", "Line", "Email", "HttpUrl", "Registry", "Address")
ADAPTERS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(getattr(settings, name)) for name in (*TYPES, "Incident", "ValueName")
}
FORMS = {name: judge(adapter.json_schema()) for name, adapter in ADAPTERS.items()}


@pytest.mark.parametrize("name", ADAPTERS)
@given(value=st.text("a0Z.-_/:@[]?#'$ \n\u00e9\u2028", max_size=12))
@example("HTTPS://[::1]:/a@b/")
@example("/srv/…/lab data/")
@example("10.0.0.255")
@example("ada@example.org")
@example("2026-11-25-leaked-api-key")
def test_what_a_schema_refuses_the_model_refuses(name: str, value: str) -> None:
    if not FORMS[name].is_valid(value):
        with pytest.raises(ValueError):
            ADAPTERS[name].validate_python(value)


@pytest.mark.parametrize(("file", "schema"), [("roster", roster_schema), ("lab", lab_schema)])
def test_the_verb_prints_it(file: str, schema: Callable[[], dict[str, Any]]) -> None:
    done = CliRunner().invoke(main, ["schema", file])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == schema()


def test_every_setting_says_what_it_is() -> None:
    properties = lab_schema()["properties"]
    assert list(properties) == list(Settings.model_fields)
    assert [name for name, part in properties.items() if not part["description"]] == []
