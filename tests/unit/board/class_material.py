"""A class on disk: roster, keys, bare repositories, and a kubectl that answers from files."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sopslab.config.environment import Environment, at_seat
from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Seat, Settings
from tests.texts import write_program
from tests.unit.board.board_material import flux_object

_ID = re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]+")
# Answers by the form of the question, as a cluster would. Of the calls, it records only the
# processes that watch.
_KUBECTL = """#!/bin/sh
case "$*" in
*watch=true*) echo $$ >>"$0.watching"; exec tail -f /dev/null ;;
*"--raw /apis/source."*) cat "$0.sources" ;;
*"--raw /apis/kustomize."*) cat "$0.kustomizations" ;;
*" get namespaces "*) cat "$0.namespaces" ;;
*go-template*) cat "$0.secrets" ;;
*metadata.name=sops-age*) cat "$0.keys" ;;
*namespaces,*) cat "$0.objects" ;;
*) exit 1 ;;
esac
"""
# The files with kubectl's answers about one kind.
_FILES = {
    "Namespace": "namespaces",
    "GitRepository": "sources",
    "Kustomization": "kustomizations",
}


@dataclass
class Class:
    """A class on disk, and the objects of its cluster."""

    settings: Settings
    seats: tuple[Seat, ...]
    heads: dict[str, str]
    objects: list[dict[str, Any]]
    identities: list[str]

    @property
    def kubectl(self) -> Path:
        """The stand-in for kubectl."""
        return Path(self.settings.bin_dir, "kubectl")

    def bare(self, seat: str) -> Path:
        """Return a learner's repository on the Git server."""
        return Path(
            self.settings.git_dir, "repositories", f"{at_seat(self._seat(seat)).repository}.git"
        )

    def _seat(self, seat: str) -> Seat:
        return next(one for one in self.seats if one.id == seat)

    def find(self, kind: str, seat: str, name: str) -> dict[str, Any]:
        """Return an object of a seat, to be changed; `say` tells the cluster about the change."""
        return next(
            one
            for one in self.objects
            if one["kind"] == kind
            and one["metadata"]["name"] == name
            and one["metadata"]["labels"]["sops-lab/seat"] == seat
        )

    def objects_of(self, kind: str) -> list[dict[str, Any]]:
        """Return the objects of a kind."""
        return [one for one in self.objects if one["kind"] == kind]

    def say(self) -> None:
        """Have the cluster answer with the present state of the objects."""
        self.kubectl.with_name("kubectl.objects").write_text(json.dumps({"items": self.objects}))
        for kind, name in _FILES.items():
            told = {"metadata": {"resourceVersion": "1"}, "items": self.objects_of(kind)}
            self.kubectl.with_name(f"kubectl.{name}").write_text(json.dumps(told))

    def push(self, seat: str, files: dict[str, str]) -> str:
        """Put a commit with these files on a learner's main, past every hook, and return the
        commit."""
        stream = [
            "commit refs/heads/main\ncommitter a <a@lab> 1 +0000\ndata 1\nc\nfrom refs/heads/main^0"
        ]
        stream += [
            f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}"
            for path, text in files.items()
        ]
        return self.run(seat, "\n".join(stream) + "\n")

    def run(self, seat: str, stream: str) -> str:
        """Import a stream of git's into a learner's repository, and return its main."""
        bare = self.bare(seat)
        _git(bare, "fast-import", "--quiet", stdin=stream)
        self.heads[seat] = _git(bare, "rev-parse", "refs/heads/main").strip()
        return self.heads[seat]


def _git(bare: Path, *arguments: str, stdin: str = "") -> str:
    return subprocess.run(
        ["git", "--git-dir", str(bare), *arguments],
        input=stdin,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def _commit(ref: str, mark: int, parent: int | None, files: dict[str, str]) -> str:
    parts = [f"commit {ref}\nmark :{mark}\ncommitter a <a@lab> 1 +0000\ndata 1\nc"]
    if parent is not None:
        parts.append(f"from :{parent}")
    parts += [
        f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}" for path, text in files.items()
    ]
    return "\n".join(parts) + "\n"


def make_class(settings: Settings, ids: Sequence[str], names: Mapping[str, str]) -> Class:
    """Make a class whose learners are done, with a single run of sops for all of them.

    The tools are those in the lab's bin directory.
    """
    folder = Path(settings.bin_dir)
    seats = tuple(
        Seat(id=one, name=names.get(one, one.title()), email=f"{one}@example.org") for one in ids
    )
    owners = [*ids, INSTRUCTOR]
    with ThreadPoolExecutor(4) as executor:
        texts = list(executor.map(lambda _owner: _keygen(folder), owners))
    public = {
        owner: re.findall(r"public key: (age1\w+)", text)[0]
        for owner, text in zip(owners, texts, strict=True)
    }
    keys = Path(settings.keys_dir)
    keys.mkdir(parents=True)
    for owner, text in zip(owners, texts, strict=True):
        (keys / f"{owner}.agekey").write_text(text)
        (keys / f"{owner}.agekey").chmod(0o600)
        (keys / f"{owner}.pub").write_text(public[owner] + "\n")
    first = seats[0].id
    encrypted = _encrypt(folder, [public[first], public[INSTRUCTOR]])
    made = Class(settings, seats, {}, [], [_ID.findall(text)[0] for text in texts])
    for seat in seats:
        own = encrypted.replace(public[first], public[seat.id])
        own = own.replace("SEAT-develop", f"{seat.id}-develop")
        _begin(made, seat, [public[seat.id], public[INSTRUCTOR]], own)
    _answer(made, dict(zip(owners, texts, strict=True)))
    roster = Path(settings.class_dir, "roster.json")
    roster.write_text(json.dumps([seat.model_dump() for seat in seats]))
    return made


def _keygen(folder: Path) -> str:
    return subprocess.run(
        [str(folder / "age-keygen")], check=True, capture_output=True, text=True
    ).stdout


def _encrypt(folder: Path, recipients: list[str]) -> str:
    plain = (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: backend-secrets\n"
        "  namespace: SEAT-develop\nstringData:\n  password: correct-horse\n"
    )
    return subprocess.run(
        [
            str(folder / "sops"), "encrypt", "--age", ",".join(recipients),
            "--encrypted-regex", "^(data|stringData)$",
            "--input-type", "yaml", "--output-type", "yaml", "/dev/stdin",
        ],
        input=plain, check=True, capture_output=True, text=True, cwd=folder,
    ).stdout  # fmt: skip


def _begin(made: Class, seat: Seat, recipients: list[str], encrypted: str) -> None:
    settings = made.settings
    access = Path(settings.seat_dir(seat.id), "kubeconfig")
    password = Path(settings.git_dir, "credentials", seat.id, "password")
    for file in (access, password):
        file.parent.mkdir(parents=True)
        file.write_text("x\n")
    bare = made.bare(seat.id)
    bare.parent.mkdir(parents=True)
    subprocess.run(
        ["git", "init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(bare)],
        check=True,
    )
    rule = (
        "creation_rules:\n  - path_regex: ^flux/secrets/develop/\n"
        f"    encrypted_regex: ^(data|stringData)$\n    age: [{', '.join(recipients)}]\n"
    )
    listed = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
    develop = "flux/secrets/develop"
    stream = _commit(
        "refs/lab/start",
        1,
        None,
        {
            ".sops.yaml": rule,
            "README.md": "x",
            f"{develop}/kustomization.yaml": f"{listed}  # - backend-secrets.yaml\n",
        },
    ) + _commit(
        "refs/heads/main",
        2,
        1,
        {
            f"{develop}/kustomization.yaml": f"{listed}  - backend-secrets.yaml\n",
            f"{develop}/backend-secrets.yaml": encrypted,
        },
    )
    _git(bare, "fast-import", "--quiet", stdin=stream)
    made.heads[seat.id] = _git(bare, "rev-parse", "refs/heads/main").strip()


def _source(settings: Settings, environment: Environment, revision: str) -> dict[str, Any]:
    found = flux_object("GitRepository", environment.system, "lab", artifact={"revision": revision})
    url = f"{settings.git_base_cluster_url}/{environment.repository}.git"
    return {**found, "spec": {**found["spec"], "url": url}}


def _answer(made: Class, texts: dict[str, str]) -> None:
    keys, secrets = [], ""
    for seat in made.seats:
        environment = at_seat(seat)
        revision = f"main@sha1:{made.heads[seat.id]}"
        labels = {"sops-lab/seat": seat.id}
        entry = {"id": f"{environment.namespace}_backend-secrets__Secret", "v": "v1"}
        made.objects += [
            {
                "kind": "Namespace",
                "metadata": {"name": name, "labels": labels},
                "status": {"phase": "Active"},
            }
            for name in (environment.namespace, environment.system)
        ]
        for one in (
            flux_object("Kustomization", "flux-system", f"tenant-{seat.id}"),
            _source(made.settings, environment, revision),
            flux_object(
                "Kustomization",
                environment.system,
                "secrets-develop",
                lastAppliedRevision=revision,
                inventory={"entries": [entry]},
            ),
        ):
            one["metadata"]["labels"] = labels
            made.objects.append(one)
        data = {"age.agekey": base64.b64encode(texts[seat.id].encode()).decode()}
        metadata = {"name": "sops-age", "namespace": environment.system, "labels": labels}
        keys.append({"kind": "Secret", "metadata": metadata, "data": data})
        secrets += (
            f"{environment.namespace}\tbackend-secrets\t\tkustomize.toolkit.fluxcd.io/name=secrets-develop"
            f"\tkustomize.toolkit.fluxcd.io/namespace={environment.system}\t\tpassword\n"
        )
    write_program(made.kubectl, _KUBECTL)
    made.say()
    made.kubectl.with_name("kubectl.keys").write_text(json.dumps({"items": keys}))
    made.kubectl.with_name("kubectl.secrets").write_text(secrets)
