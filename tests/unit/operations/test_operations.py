"""Operations, case by case: what the host said, and what the operation does about it.

A case is a YAML file in a folder named `<module>.<operation>`:

    settings: changes to the defaults of a lab; the operation gets them as `settings`
    arguments: its other arguments; an `environment` is named by its learner, as `environments` are
        and whose each of the `keys` is, and `learner` is the one of a lab without a class;
        a `roster` has the seats of a class, by their ids
    facts: what the command of each fact it reads prints, by the fact's name; for some, what
        differs from a large machine, from no engine and from no cluster; of a look, by its
        function's name, what it returns, in JSON
    looked: the arguments of each fact that has some besides the lab, by the fact's name, with
        environments named by their learner and `SHA256` for a digest; a list if different things
        are asked
    noop: the reason it gives for doing nothing, or
    refused: a part of the sentence with which it refuses, or
    commands: what it runs: of a script all `arguments`, parts of `stdin`, `sudo`; of the lab's own
        program what it `does` and its whole `order`, in which environments are named by their
        learner, or only `parts` of long texts in it, or parts of it as `stdin`; what becomes of
        it is for tests that run it
    notes: what it says of itself in its event

`ROOT` stands for the lab's root, `TEMPLATES` for the project's; `DIGEST` and `PACKED` for what
`sopslab.files.archive` makes of `files`, `MARK` for the label of a server made of these arguments,
and `GENERATION` for a new generation of access.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from pyinfra.api import FactBase, StringCommand
from pyinfra.context import ctx_host

from sopslab.config.environment import at_seat, solo
from sopslab.config.settings import Learner, Seat, Settings
from sopslab.files import events
from sopslab.files.archive import Tree, digest, pack
from sopslab.files.render import RenderedFile
from sopslab.incidents.records import Incident, parse_incident
from sopslab.lab.__main__ import find
from sopslab.layout import TEMPLATES
from sopslab.model.certificates import TlsState
from sopslab.model.engine import EngineState
from sopslab.model.incidents import incident_path
from sopslab.model.kind import ClusterState, Owner
from sopslab.model.repositories import LearnersClone
from sopslab.model.wire import decode, encode
from sopslab.provision.command import refusal
from sopslab.provision.look import Look
from sopslab.provision.operations import access, builds, docker, git, suspension
from tests.fake import arguments_of, order_of, text_of
from tests.sources import operations

FOLDER = Path(__file__).parent
CASES = sorted(FOLDER.glob("*.*/*.yaml"))
MACHINE = {
    "uid": 1000, "gid": 1000, "user": "ada", "machine": "x86_64", "cpus": 4,
    "memory_kib": 8_000_000, "disk_kib": 90_000_000, "store_entries": 14,
    "writable": True, "cgroup": 2,
    "bounding": 0x1FFFFFFFFFF, "last_capability": 40,
    "inotify_instances": 1024, "inotify_watches": 524288, "manager": "apt-get",
    "missing": [],
}  # fmt: skip
# What a recorded fact says unless the case says otherwise.
USUAL = {
    "machine_state": MACHINE,
    "engine_state": encode(EngineState(answers=False)),
    "clone_of_learner": encode(LearnersClone()),
    "cluster_state": encode(ClusterState(Owner.NOBODY)),
}
# Tested in Python on real repositories, stores and clusters; this list may only become shorter.
WITHOUT_CASES = {
    "artifact.cache",
    "artifact.entries",
    "artifact.head_start",
    "artifact.image",
    "artifact.links",
    "artifact.source",
    "artifact.toolchain",
    "drill.end",
    "drill.leak",
    "logins.passwords",
    "logins.proof",
    "proof.attempts",
    "reencryption.files",
    "reset.clone",
    "reset.namespaces",
    "reset.repositories",
    "rotation.conclusion",
    "rotation.inventory",
    "rotation.retirement",
    "rotation.successors",
    "seats.pruning",
    "seats.roster",
}
GENERATION = "c0ffee00c0ffee"
# How a packed tree begins: with gzip's first bytes, in base64.
_PACKED = "H4sI"
_DIGEST = re.compile("[0-9a-f]{64}")
KEYS = {"settings", "arguments", "facts", "looked", "noop", "refused", "commands", "notes"}


class RecordedHost:
    """A host whose facts are recorded outputs; a fact that was not recorded is an error."""

    name = "recorded"

    def __init__(self, outputs: Mapping[str, list[str]]) -> None:
        self._outputs = outputs
        self.asked: set[str] = set()
        self._orders: dict[str, list[Any]] = {}
        self.noops: list[str] = []

    connector = None

    def get_fact(self, fact: type[FactBase[Any]], **arguments: Any) -> Any:
        if fact is Look:
            name = str(arguments["what"]).rpartition(".")[2]
            self._note(name, json.loads(arguments["order"]))
            return "\n".join(self._outputs[name]) or None
        arguments.pop("_sudo", None)
        self._note(fact.__name__, arguments)
        # Arguments that the fact's command does not take are an error, as on a real host.
        assert isinstance(fact().command(**arguments), StringCommand)
        output = self._outputs[fact.__name__]
        return fact().process(list(output)) if output else fact.default()

    def noop(self, reason: str) -> None:
        self.noops.append(reason)

    @property
    def looked(self) -> dict[str, Any]:
        """What each fact was asked for, as a case states it."""
        return {
            name: orders[0] if len(orders) == 1 else orders for name, orders in self._orders.items()
        }

    def _note(self, name: str, arguments: Mapping[str, Any]) -> None:
        self.asked.add(name)
        order = named({key: arguments[key] for key in arguments if key not in ("lab", "settings")})
        if order and order not in (orders := self._orders.setdefault(name, [])):
            orders.append(order)


def tree(files: Mapping[str, str]) -> Tree:
    return {path: RenderedFile(text.encode(), executable=False) for path, text in files.items()}


def incident(record: Mapping[str, Any]) -> Incident:
    return parse_incident(incident_path(record["id"]), yaml.safe_dump(record))


def server_label(
    settings: Settings,
    *,
    image: str = "sops-lab/git:1",
    files: Mapping[str, str] | None = None,
    uid: int = 1000,
    certificate: str = "AA:BB",
) -> str:
    """Return the label of a Git server that is made from these arguments."""
    said = {"machine_state": output("machine_state", {"uid": uid}), "container": []}
    if settings.networked:
        said["tls_state"] = output("tls_state", encode(TlsState(certificate=certificate)))
    with ctx_host.use(RecordedHost(said)):
        (command,) = git.server._inner(
            settings=settings,
            image=image,
            configuration=tree(files or {"gate": "x"}),
        )
    key, _, mark = order_of(command)[1]["label"].partition("=")
    assert key == git.CONFIG_LABEL
    return str(mark)


def fill(text: str, settings: Settings) -> str:
    """Fill in the values that a case cannot know."""
    files = tree({"flux/a.yaml": "a: 1"})
    mark = server_label(settings) if "MARK" in text else ""
    values = {"ROOT": settings.root, "TEMPLATES": str(TEMPLATES), "MARK": mark}
    values["GENERATION"] = GENERATION
    values |= {"DIGEST": digest(files), "PACKED": pack(files).split()[0]}
    for word, value in values.items():
        text = re.sub(rf"\b{word}\b", value, text)
    return text


def output(fact: str, said: Any) -> list[str]:
    if fact == "rotation_record" and said != []:
        # A record is YAML, which the program prints as one text.
        return [json.dumps(yaml.safe_dump(said))]
    if fact in USUAL and said != []:
        said = merged(USUAL[fact], said or {})
    # The lab's own program prints a single object.
    lines = [said] if isinstance(said, dict) else said or []
    return [
        line if isinstance(line, str) else json.dumps(line, separators=(",", ":")) for line in lines
    ]


def merged(usual: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the usual values, except where others are given."""
    return {
        key: merged(value, said.get(key, {})) if isinstance(value, dict) else said.get(key, value)
        for key, value in usual.items()
    }


def environments(named: str | list[str], settings: Settings) -> Any:
    """Return the environment of a learner, or those of several."""
    if not isinstance(named, str):
        return [environments(one, settings) for one in named]
    if named == settings.learner.id:
        return solo(settings)
    return at_seat(Learner(id=named, name=named, email=f"{named}@example.org"))


def run(case: Mapping[str, Any], name: str, settings: Settings) -> tuple[RecordedHost, list[Any]]:
    module, _, function = name.partition(".")
    operation = getattr(importlib.import_module(f"sopslab.provision.operations.{module}"), function)
    arguments = dict(case.get("arguments") or {})
    for key in {"files", "configuration"} & set(arguments):
        arguments[key] = tree(arguments[key])
    if name == "flux.platform":
        files = arguments["files"]
        arguments["files"] = lambda ports, _identity: files if ports else {}
    if "incident" in arguments:
        arguments["incident"] = incident(arguments["incident"])
    for key in {"environment", "environments"} & set(arguments):
        arguments[key] = environments(arguments[key], settings)
    if "roster" in arguments:
        arguments["roster"] = [
            Seat(id=one, name=one, email=f"{one}@example.org") for one in arguments["roster"]
        ]
    if "keys" in arguments:
        owners = arguments["keys"].items()
        arguments["keys"] = {key: one and environments(one, settings) for key, one in owners}
    if "settings" in case:
        arguments["settings"] = settings
    facts = case.get("facts") or {}
    host = RecordedHost({fact: output(fact, said) for fact, said in facts.items()})
    with ctx_host.use(host):
        commands = list(operation._inner(**arguments))
    return host, commands


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_case(path: Path, lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "new_generation", lambda: GENERATION)
    settings = lab(**(yaml.safe_load(path.read_text()).get("settings") or {}))
    case = yaml.safe_load(fill(path.read_text(), settings))
    assert set(case) <= KEYS
    for name in ("_told", "_installed"):
        monkeypatch.setattr(docker, name, set())
    events.take_notes()
    host, commands = run(case, path.parent.name, settings)
    assert host.asked == set(case.get("facts") or {}), "every recorded fact is read, and no other"
    assert host.looked == case.get("looked", {})
    assert list(events.take_notes()) == case.get("notes", [])
    assert host.noops == ([case["noop"]] if "noop" in case else [])
    if "refused" in case:
        (command,) = commands
        sentence = "\n".join(arguments_of(command))
        assert command == refusal(sentence)
        assert case["refused"] in sentence
        return
    expected = case.get("commands", [])
    assert len(commands) == len(expected)
    for command, wanted in zip(commands, expected, strict=True):
        check(command, wanted)


def test_a_git_server_is_made_anew_for_whatever_it_was_started_with(
    lab: Callable[..., Settings],
) -> None:
    """The label is equal for equal arguments, and another one for each argument that differs."""
    settings, networked = lab(), lab(git_bind="192.0.2.10")
    labels = [
        server_label(settings),
        server_label(networked),
        server_label(networked, certificate="CC:DD"),
        server_label(settings, image="sops-lab/git:2"),
        server_label(settings, files={"gate": "y"}),
        server_label(settings, files={"other.conf": "x"}),
        server_label(settings, files={"gate": "x", "gitconfig": "x"}),
        server_label(settings, uid=1001),
        server_label(lab(git_port=8419)),
        server_label(lab(root=f"{settings.root}-2")),
    ]
    assert len(set(labels)) == len(labels)
    assert server_label(lab()) == server_label(settings, certificate="CC:DD") == labels[0]


def test_kustomizations_are_listed_once_until_one_is_about_to_change(
    lab: Callable[..., Settings],
) -> None:
    settings, of_learner = lab(), [solo(lab())]
    suspended = {
        "kind": "Kustomization",
        "metadata": {"namespace": of_learner[0].system, "name": of_learner[0].kustomization},
        "spec": {"suspend": True},
    }
    facts = {
        "all_kustomizations": output("", [[suspended]]),
        "all_sources": [],
        "fault_records": [],
    }
    host = RecordedHost(facts)
    with ctx_host.use(host):
        assert list(builds.queue._inner(settings=settings)) == []
        # What the host would answer from now on is not asked for.
        facts["all_kustomizations"] = []
        for resumed in (True, False):
            commands = list(suspension.resumption._inner(settings, of_learner))
            assert bool(commands) == resumed


def check(command: StringCommand, wanted: Mapping[str, Any]) -> None:
    assert set(wanted) <= {"arguments", "stdin", "sudo", "does", "order", "parts"}
    assert command.connector_arguments.get("_sudo", False) is wanted.get("sudo", False)
    if "does" in wanted:
        what, order = order_of(command)
        hints = get_type_hints(find(what))
        for name, value in order.items():
            # Raises ValueError for what the function does not take.
            decode(hints[name], value)
        for name, parts in wanted.get("parts", {}).items():
            text = order.pop(name)
            assert [part for part in parts if part not in text] == []
        assert what == wanted["does"]
        if "stdin" not in wanted:
            assert named(order) == wanted.get("order", {})
            return
    if "arguments" in wanted:
        found = arguments_of(command)
        # The first argument of a lab's script is the folder of its tools.
        assert found['PATH="$1:$PATH"' in text_of(command) :] == wanted["arguments"]
    stdin = command.connector_arguments.get("_stdin")
    assert (stdin is None) == ("stdin" not in wanted)
    for part in wanted.get("stdin", []):
        assert part in str(stdin)
        assert part not in command.get_raw_value()


def named(value: Any) -> Any:
    """Return an order as a case states it: its environments by their learners, its digests not at
    all."""
    if isinstance(value, dict):
        if {"namespace", "kustomization"} <= set(value):
            return value["id"]
        return {key: named(each) for key, each in value.items()}
    if isinstance(value, str) and value.startswith(_PACKED):
        # A packed tree is compared by its first line.
        return value.partition("\n")[0]
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return "SHA256"
    return [named(each) for each in value] if isinstance(value, list) else value


def incomplete(folder: Path) -> bool:
    """Return whether a folder lacks a case for doing nothing, or one for doing something."""
    noops = ["noop" in yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")]
    return len(set(noops)) < 2


def test_every_operation_has_cases_for_doing_nothing_and_for_doing_something() -> None:
    lacking = {name for name in operations() if incomplete(FOLDER / name)}
    # In both directions: an operation that has its cases must leave the list.
    assert lacking == WITHOUT_CASES


def test_every_folder_of_cases_belongs_to_an_operation() -> None:
    assert {folder.name for folder in FOLDER.glob("*.*/")} <= operations().keys()
