"""Canaries on their way: how they are judged, looked at in real repositories, and awaited."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks import canaries as judging
from sopslab.checks.canaries import (
    FIRST_S,
    HOPELESS_S,
    STUCK_S,
    UNDECRYPTABLE,
    WAITED_S,
    Canary,
    is_hopeless,
    judge_canary,
    stuck,
)
from sopslab.config.environment import Environment, at_seat, solo
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.act import canaries
from sopslab.lab.observe.canaries import Canaries, canary_states
from sopslab.lab.observe.canary_way import broken_link
from sopslab.lab.tools import sops
from sopslab.lab.tools.programs import Answer
from sopslab.layout import CANARY_PATH, LIST_PATH
from sopslab.model.canaries import PROVEN, CanaryState, Link, Progress
from sopslab.model.results import Undecided
from sopslab.provision.operations import lab as labs
from sopslab.provision.operations import seats
from tests.conftest import find_tool
from tests.fake import Applied
from tests.repositories import begin_repository, commit, git, learner, make_identity
from tests.texts import write_files, write_program

ADA = at_seat(learner("ada"))
HEAD = "4f1c" * 10
READY = {"type": "Ready", "status": "True"}
WAITING = CanaryState(Progress.WAITING, "Flux is at work on it", Link.COMMIT)
FAILING = CanaryState(Progress.FAILING, "it is suspended", Link.COMMIT)


def kustomization(
    environment: Environment, revision: str | None = None, *, suspend: bool = False, **ready: str
) -> dict[str, Any]:
    status: dict[str, Any] = {"conditions": [{**READY, **ready}]}
    if revision is not None:
        status["lastAppliedRevision"] = f"main@sha1:{revision}"
    return {
        "kind": "Kustomization",
        "metadata": {"namespace": environment.system, "name": environment.kustomization},
        "spec": {"suspend": suspend},
        "status": status,
    }


OLD = kustomization(ADA, "0" * 40)
HERE = kustomization(ADA, HEAD)
HELD = kustomization(ADA, HEAD, suspend=True)
AT_WORK = kustomization(ADA, status="Unknown")


@pytest.mark.parametrize(
    ("own", "seen", "state"),
    [
        (HERE, Canary(HEAD, "a", "a"), PROVEN),
        # A canary that has arrived is proven even if Flux is suspended. A canary that proves
        # nothing, since the learner has changed it, only has to be applied.
        (HELD, Canary(HEAD, "a", "a"), PROVEN),
        (HERE, Canary(HEAD, None, "b"), PROVEN),
        (HERE, Canary(HEAD, "a", "b"), (Progress.FAILING, "another value", Link.VALUE)),
        (HERE, Canary(HEAD, "a"), (Progress.FAILING, "another value", Link.VALUE)),
        (HERE, Canary(HEAD, "a", None, True), (Progress.WAITING, "was deleted", Link.VALUE)),
        # What lives on in a namespace that is being deleted is as good as gone.
        (HERE, Canary(HEAD, "a", "a", True), (Progress.WAITING, "was deleted", Link.VALUE)),
        (HERE, Canary(HEAD, None, None, True), (Progress.WAITING, "was deleted", Link.VALUE)),
        (HELD, Canary(HEAD, "a", "b"), (Progress.FAILING, "it is suspended", Link.VALUE)),
        (HERE, Canary(HEAD, UNDECRYPTABLE, "b"), (Progress.FAILING, "cannot decrypt", Link.KEY)),
        (OLD, Canary(HEAD, "a", "a"), (Progress.WAITING, "ready", Link.COMMIT)),
        (OLD, Canary(None), (Progress.WAITING, "ready", Link.COMMIT)),
        (AT_WORK, None, (Progress.WAITING, "Flux is at work on it", Link.BEGINNING)),
        (None, None, (Progress.FAILING, "secrets-develop is missing", Link.BEGINNING)),
    ],
)
def test_how_far_a_canary_is_follows_from_what_was_seen(own: Any, seen: Any, state: Any) -> None:
    found = judge_canary(ADA, own, {**HERE, "status": {"conditions": [READY]}}, seen)
    if state == PROVEN:
        assert found == PROVEN
    else:
        assert (found.progress, found.link) == (state[0], state[2])
        assert state[1] in found.said


def test_where_nothing_is_there_flux_has_not_begun() -> None:
    found = judge_canary(ADA, None, None, None)
    assert found == CanaryState(Progress.WAITING, "Flux has not begun", Link.BEGINNING)
    going = kustomization(ADA, status="Unknown")
    assert judge_canary(ADA, None, going, None).progress is Progress.WAITING


def test_flux_is_asked_for_those_that_fail_and_later_for_all() -> None:
    found = {"ada": WAITING, "bob": FAILING}
    assert stuck(found, STUCK_S - 1) == []
    assert stuck(found, STUCK_S) == ["bob"]
    assert stuck(found, WAITED_S) == ["ada", "bob"]


def test_nobody_waits_where_none_is_on_its_way() -> None:
    assert is_hopeless({"bob": FAILING}, HOPELESS_S, is_first=False)
    assert not is_hopeless({"bob": FAILING}, HOPELESS_S - 1, is_first=False)
    assert not is_hopeless({"bob": FAILING, "ada": WAITING}, HOPELESS_S, is_first=False)


def test_the_first_canary_of_a_lab_is_given_more_time() -> None:
    assert not is_hopeless({"learner": FAILING}, HOPELESS_S, is_first=True)
    assert is_hopeless({"learner": FAILING}, FIRST_S, is_first=True)


# --- looked at ---------------------------------------------------------------------------------

# Answers with $here/*.json, and records its calls.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
case " $* " in
*" get nodes,"*) cat "$here/everything.json" ;;
*" get --raw /apis/kustomize."*/kustomizations" "*)
    [ ! -e "$here/unknown" ] || { cat "$here/unknown" >&2; exit 1; }
    cat "$here/kustomizations.json" ;;
*" get secrets "*|*" get --raw /api/v1/"*secrets?*) cat "$here/secrets.json" ;;
*" get --raw /api/v1/namespaces "*) cat "$here/namespaces.json" ;;
*" annotate "*) cat >>"$here/asked" ;;
*" /readyz "*) echo ok ;;
*" wait "*) [ ! -e "$here/arriving" ] || mv "$here/arriving" "$here/kustomizations.json" ;;
esac
"""
IN_FLUX = {"namespace": "flux-system"}
CONTROLLERS = ("source-controller", "kustomize-controller")
SOURCE = {"kind": "GitRepository", "status": {"conditions": [READY]}}
READY_ONE = {"kind": "Deployment", "status": {"readyReplicas": 1}}
MANIFEST = """apiVersion: v1
kind: Secret
metadata: {{name: lab-canary}}
stringData: {{value: {value}}}
"""


class World:
    """A lab, its repositories, and a cluster that only answers."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self._folder = folder
        self.tools = Path(settings.bin_dir)

    def commit(self, bare: Path, files: dict[str, str]) -> str:
        """Push a commit with these files and return the commit."""
        work = self._folder / "work"
        if not work.exists():
            begin_repository(bare, work)
        write_files(work, files)
        return commit(work, "Change something")

    def show(self, *kustomizations: Any, **values: str) -> None:
        """Set the Kustomizations in the cluster, and the values of canaries in its namespaces."""
        secrets = [
            {
                "metadata": {"namespace": namespace.replace("_", "-"), "name": "lab-canary"},
                "data": {"value": base64.b64encode(value.encode()).decode()},
            }
            for namespace, value in values.items()
        ]
        key: dict[str, Any] = {
            "metadata": {"namespace": "flux-system", "name": "sops-age"},
            "data": {"a": ""},
        }
        held: list[dict[str, Any]] = [{"kind": "Secret", **one} for one in (*secrets, key)]
        everything = [
            *kustomizations,
            {**SOURCE, "metadata": {"namespace": "flux-system", "name": "learner"}},
            *({**READY_ONE, "metadata": {**IN_FLUX, "name": name}} for name in CONTROLLERS),
        ]
        for kind, items in (
            ("kustomizations", kustomizations),
            ("secrets", held),
            ("everything", everything),
            ("namespaces", [{"metadata": {"name": name}} for name in ("ada-develop", "develop")]),
        ):
            (self.tools / f"{kind}.json").write_text(json.dumps({"items": list(items)}))


@pytest.fixture
def world(answered_by: Callable[..., Settings], tmp_path: Path) -> World:
    made = World(answered_by(KUBECTL, "sops", "age-keygen"), tmp_path)
    made.show()
    return made


def one(world: World, environment: Environment) -> CanaryState:
    (found,) = canary_states(world.settings.for_machine, [environment]).values()
    return found


def begun_seat(world: World) -> tuple[Path, str]:
    """Give Ada a repository with a canary of `a value`; return it, and its commit."""
    bare = Path(world.settings.git_dir, "repositories/ada/lab.git")
    head = world.commit(bare, {CANARY_PATH: "encrypted"})
    git(bare, "update-ref", "refs/lab/start", head)
    kept = Path(world.settings.seat_dir("ada"), "canary")
    kept.parent.mkdir(parents=True)
    kept.write_text(hashlib.sha256(b"a value").hexdigest() + "\n")
    return bare, head


def test_a_seats_canary_counts_until_the_learner_changes_it(world: World) -> None:
    bare, head = begun_seat(world)
    world.show(kustomization(ADA, head), ada_develop="a value")
    assert one(world, ADA) == PROVEN
    world.show(kustomization(ADA, head), ada_develop="another value", bob_develop="a value")
    assert one(world, ADA).link is Link.VALUE
    later = world.commit(bare, {CANARY_PATH: "changed by the learner"})
    assert one(world, ADA).link is Link.COMMIT
    world.show(kustomization(ADA, later), ada_develop="another value")
    assert one(world, ADA) == PROVEN


def test_a_seats_canary_that_was_taken_off_the_list_proves_nothing(world: World) -> None:
    bare, _ = begun_seat(world)
    unlisted = world.commit(bare, {LIST_PATH: "resources:\n# - lab-canary.yaml\n"})
    world.show(kustomization(ADA, unlisted))
    assert one(world, ADA) == PROVEN
    listed = world.commit(bare, {LIST_PATH: "resources:\n- lab-canary.yaml\n"})
    world.show(kustomization(ADA, listed))
    assert one(world, ADA).link is Link.VALUE


@pytest.mark.parametrize(
    "namespaces", [[], [{"name": "ada-develop", "deletionTimestamp": "2026-11-30T16:00:00Z"}]]
)
@pytest.mark.parametrize("values", [{}, {"ada_develop": "a value"}])
def test_a_canary_is_waited_for_if_its_namespace_was_deleted(
    world: World, namespaces: list[dict[str, str]], values: dict[str, str]
) -> None:
    _, head = begun_seat(world)
    world.show(kustomization(ADA, head), **values)
    there = {"items": [{"metadata": one} for one in namespaces]}
    (world.tools / "namespaces.json").write_text(json.dumps(there))
    assert one(world, ADA).progress is Progress.WAITING


def test_a_cluster_that_does_not_show_its_namespaces_proves_no_canary(world: World) -> None:
    _, head = begun_seat(world)
    world.show(kustomization(ADA, head), ada_develop="a value")
    (world.tools / "namespaces.json").unlink()
    assert one(world, ADA).link is Link.BEGINNING


def test_where_nothing_was_applied_no_repository_is_looked_at(world: World) -> None:
    world.show(kustomization(ADA, status="Unknown"))
    assert one(world, ADA).progress is Progress.WAITING
    assert len((world.tools / "calls").read_text().splitlines()) == 1


def test_a_cluster_without_flux_has_not_begun_and_one_that_refuses_is_not_guessed_about(
    world: World,
) -> None:
    unknown = world.tools / "unknown"
    unknown.write_text(
        "Error from server (NotFound): the server could not find the requested resource"
    )
    assert one(world, ADA).said == "Flux has not begun"
    unknown.write_text("error: You must be logged in to the server (Unauthorized)")
    refused = one(world, ADA)
    assert refused.progress is Progress.WAITING and refused.said != "Flux has not begun"


def test_without_a_cluster_nothing_is_told(world: World) -> None:
    Path(world.settings.lab_kubeconfig).unlink()
    assert canary_states(world.settings.for_machine, [ADA]) == {}


class Alone(World):
    """A world without a class, whose Git server is a folder."""

    def __init__(self, world: World, folder: Path) -> None:
        super().__init__(world.settings, folder)
        self.environment = solo(world.settings)
        served = folder / "served"
        self.bare = served / f"{self.environment.repository}.git"
        here = f"url.{served.as_uri()}/.insteadOf={self.settings.git_base_url}/"
        write_program(
            self.tools / "git", f'#!/bin/sh\nexec {shutil.which("git")} -c "{here}" "$@"\n'
        )
        key = Path(self.settings.keys_dir, f"{self.environment.key}.agekey")
        self.recipient = make_identity(key)

    def push(self, value: str, listed: str = "- lab-canary.yaml") -> str:
        encrypted = subprocess.run(
            [
                find_tool("sops"), "encrypt", "--age", self.recipient, "--encrypted-regex",
                "^stringData$", "--input-type", "yaml", "--output-type", "yaml", "/dev/stdin",
            ],
            input=MANIFEST.format(value=value), capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        files = {CANARY_PATH: encrypted, LIST_PATH: f"resources:\n{listed}\n"}
        return self.commit(self.bare, files)


@pytest.fixture
def alone(world: World, tmp_path: Path) -> Alone:
    return Alone(world, tmp_path)


def test_a_canary_alone_is_known_by_what_main_decrypts_to(alone: Alone) -> None:
    environment = alone.environment
    head = alone.push("a-value")
    alone.show(kustomization(environment, head), develop="a-value")
    assert one(alone, environment) == PROVEN
    alone.show(kustomization(environment, head), develop="another")
    assert one(alone, environment).link is Link.VALUE
    make_identity(Path(alone.settings.keys_dir, "other.agekey"))
    Path(alone.settings.keys_dir, "other.agekey").replace(
        Path(alone.settings.keys_dir, f"{environment.key}.agekey")
    )
    assert one(alone, environment).link is Link.KEY


def test_a_sops_that_gave_no_answer_is_asked_again(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: Any) -> Answer:
        raise Undecided("sops did not answer within 30 s")

    environment, looking = alone.environment, Canaries(alone.settings.for_machine)
    alone.show(kustomization(environment, alone.push("a-value")), develop="a-value")
    with monkeypatch.context() as patch:
        patch.setattr(sops, "decrypt", silent)
        assert looking.look([environment])[environment.id].link is Link.KEY
    assert looking.look([environment]) == {environment.id: PROVEN}


def test_a_canary_that_was_taken_out_proves_nothing(alone: Alone) -> None:
    head = alone.push("a-value", "# - lab-canary.yaml")
    alone.show(kustomization(alone.environment, head))
    assert one(alone, alone.environment) == PROVEN
    # A canary that is in the cluster counts as listed, however its line is written.
    alone.show(kustomization(alone.environment, head), develop="another")
    assert one(alone, alone.environment).link is Link.VALUE
    head = alone.push("a-value", '- "lab-canary.yaml" # mine')
    alone.show(kustomization(alone.environment, head, suspend=True))
    assert one(alone, alone.environment).said == "it is suspended"


# --- awaited -----------------------------------------------------------------------------------


def test_flux_is_asked_at_once_if_it_was_done_already(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "FIRST_S", 0)
    head = alone.push("a-value")
    alone.show(kustomization(alone.environment, head), develop="another")
    with pytest.raises(LabError, match="is Ready, but lab-canary holds another value"):
        canaries.await_canaries(alone.settings.for_machine, [alone.environment])
    asked = json.loads((alone.tools / "asked").read_text())["items"]
    assert {each["kind"] for each in asked} == {"GitRepository", "Kustomization"}


def test_what_is_on_its_way_is_awaited(alone: Alone) -> None:
    head = alone.push("a-value")
    alone.show(kustomization(alone.environment, head), develop="a-value")
    arrived = alone.tools / "kustomizations.json"
    arrived.replace(alone.tools / "arriving")
    arrived.write_text(json.dumps({"items": [kustomization(alone.environment, "0" * 40)]}))
    canaries.await_canaries(alone.settings.for_machine, [alone.environment])
    assert not (alone.tools / "arriving").exists()


def test_the_first_broken_link_is_named(alone: Alone) -> None:
    lab, environment = alone.settings.for_machine, alone.environment
    with pytest.raises(LabError, match="arrive: the Git server does not answer at http"):
        canaries.await_canaries(lab, [environment])
    alone.show(kustomization(environment, "0" * 40))
    assert "cannot decrypt" in broken_link(lab, environment, Link.KEY)
    (alone.tools / "everything.json").write_text('{"items": []}')
    assert "source-controller is not ready" in broken_link(lab, environment, Link.COMMIT)
    alone.tools.joinpath("kubectl").write_text("#!/bin/sh\nfalse\n")
    assert broken_link(lab, environment, Link.COMMIT) == "the API server does not answer"


def test_who_has_failed_already_is_not_waited_for(world: World) -> None:
    failed = Path(world.settings.class_dir, "failed/ada")
    failed.parent.mkdir(parents=True)
    failed.write_text("no key\n")
    canaries.await_canaries(world.settings.for_machine, [ADA])
    assert failed.read_text() == "no key\n"


def test_what_an_earlier_verb_could_not_do_keeps_nobody_from_being_proven(alone: Alone) -> None:
    lab, environment = alone.settings.for_machine, alone.environment
    failed = Path(alone.settings.class_dir, "failed", environment.id)
    failed.parent.mkdir(parents=True)
    failed.write_text("its namespace could not be cleared\n")
    assert Applied(labs.beginning, settings=alone.settings).changed
    with pytest.raises(LabError, match="the canary did not arrive"):
        canaries.await_canaries(lab, [environment])


@pytest.mark.parametrize("pushed", [False, True])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_lost_canary_of_the_learner_who_is_here_hides_no_seat_that_failed(
    alone: Alone, monkeypatch: pytest.MonkeyPatch, *, pushed: bool, earlier: bool
) -> None:
    monkeypatch.setattr(judging, "FIRST_S", 0)
    monkeypatch.setattr(canaries, "_LONGEST_S", 0)
    environment, folder = alone.environment, Path(alone.settings.class_dir, "failed")
    if pushed:
        alone.show(kustomization(environment, alone.push("a-value")), develop="another")
    if earlier:
        folder.mkdir(parents=True)
        (folder / "ada").write_text("its namespace could not be cleared\n")
    canaries.await_canaries(alone.settings.for_machine, [environment, ADA])
    named = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(named) == {"ada", environment.id}
    assert named[environment.id].startswith("its canary did not arrive: ")
    assert ("cleared" in named["ada"]) == earlier
    ended = Applied(seats.report, settings=alone.settings, seats=["ada", environment.id])
    assert ended.failed and "2 of 2 seats are not ready" in ended.stderr
