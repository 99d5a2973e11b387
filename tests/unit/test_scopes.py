"""In a cluster that the lab did not make, what is in others' namespaces is not asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.environment import at_seat, solo
from sopslab.config.settings import Settings
from sopslab.lab.observe.canaries import canary_states
from sopslab.lab.observe.environments import look, look_into
from sopslab.lab.observe.everywhere import ask_everywhere
from sopslab.lab.observe.host_secrets import held_keys, live_secrets
from sopslab.lab.observe.live import live_values, old_consumers
from sopslab.lab.observe.scopes import Scope, only_in
from sopslab.lab.observe.settling import settling_objects
from sopslab.model.rotation import Delivered
from tests.repositories import learner

ADA, BOB = (at_seat(learner(one)) for one in ("ada", "bob"))
SEATS = [ADA, BOB]
# Records its calls, and answers for two seats beside a namespace of somebody else's.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
printf '%s\\n' "$*" >>"$here/calls"
case " $* " in
*" get namespaces --selector !sops-lab/seat "*) cat "$here/others" ;;
*" get namespaces --selector sops-lab/seat "*)
    printf 'namespace/%s\\n' ada-develop lab-ada-sys bob-develop lab-bob-sys ;;
*" --raw /apis/"*) cat "$here/kustomizations" ;;
*" api-resources "*) printf 'configmaps\\nsecrets\\n' ;;
*go-template*|*custom-columns*) ;;
*) echo '{"items": []}' ;;
esac
"""
ELSEWHERE = {"cluster_provider": "existing", "kubeconfig": "/k", "context": "prod"}


def kustomization(seat: str) -> dict[str, Any]:
    metadata = {"namespace": f"lab-{seat}-sys", "name": "secrets-develop", "resourceVersion": "1"}
    status = {"lastAppliedRevision": f"main@sha1:{'1' * 40}"}
    return {"kind": "Kustomization", "metadata": metadata, "status": status}


@pytest.fixture(params=["existing", "kind"])
def settings(request: pytest.FixtureRequest, answered_by: Callable[..., Settings]) -> Settings:
    found = answered_by(KUBECTL, "age-keygen", **(ELSEWHERE if request.param == "existing" else {}))
    names = ("team-a", "kube-system", "flux-system", "develop")
    Path(found.bin_dir, "others").write_text("".join(f"namespace/{one}\n" for one in names))
    answer = json.dumps({"items": [kustomization("ada"), kustomization("bob")]})
    Path(found.bin_dir, "kustomizations").write_text(answer)
    return found


def of_everybody(settings: Settings) -> object:
    with ThreadPoolExecutor(3) as executor:
        return ask_everywhere(settings, executor).live()


DELIVERED = {one.id: [Delivered("a.yaml", "backend", one.id)] for one in SEATS}
CHANGED = {one.id: ["backend"] for one in SEATS}
LOOKS: dict[str, Callable[[Settings], object]] = {
    "contents": lambda s: look_into(s.for_machine, SEATS),
    "names": lambda s: look(s.for_machine, SEATS, ["backend"]),
    "values": lambda s: live_values(s.for_machine, SEATS, DELIVERED),
    "workloads": lambda s: old_consumers(s.for_machine, SEATS, "2026-11-25-a", CHANGED),
    "seats": lambda s: live_secrets(s.for_machine, SEATS),
    "mixed": lambda s: live_secrets(s.for_machine, [solo(s), *SEATS]),
    "keys": lambda s: held_keys(s.for_machine, SEATS),
    "settling": lambda s: settling_objects(s.for_machine, SEATS),
    "canaries": lambda s: canary_states(s.for_machine, SEATS),
    "everybody": of_everybody,
}


def listings(settings: Settings) -> Sequence[str]:
    """Return the calls that list more than namespaces and objects of Flux."""
    calls = Path(settings.bin_dir, "calls").read_text().splitlines()
    beside = (
        " get namespaces", " --raw /apis/", " --raw /api/v1/namespaces ", " api-resources ",
        " get gitrepositories",
    )  # fmt: skip
    return [call for call in calls if not any(part in call for part in beside)]


def is_confined(call: str) -> bool:
    return "metadata.namespace!=team-a" in call or is_chosen(call)


def is_chosen(call: str) -> bool:
    inside, of_seats = (" --namespace ", "/namespaces/"), (" --selector ", "labelSelector=")
    chosen = (*inside, *(f"{option}sops-lab/seat" for option in of_seats))
    return any(part in call for part in chosen)


@pytest.mark.parametrize("name", LOOKS)
def test_what_is_in_others_namespaces_is_not_asked_for(settings: Settings, name: str) -> None:
    LOOKS[name](settings)
    calls = listings(settings)
    assert calls
    if settings.cluster_provider == "existing":
        assert [call for call in calls if not is_confined(call)] == []
    else:
        # Nobody else is in such a cluster.
        everything = Path(settings.bin_dir, "calls").read_text()
        assert "metadata.namespace!=" not in everything
        assert "!sops-lab/seat" not in everything


@pytest.mark.parametrize("name", LOOKS)
def test_a_kind_is_listed_once_for_any_number_of_seats(settings: Settings, name: str) -> None:
    LOOKS[name](settings)
    # Keys are listed by themselves.
    calls = [call for call in listings(settings) if "=sops-age" not in call]
    kinds = [call.partition(" get ")[2].split()[0] for call in calls]
    assert len(kinds) == len(set(kinds))


@pytest.mark.parametrize("settings", ["existing"], indirect=True)
@pytest.mark.parametrize("name", ["contents", "names", "values", "mixed", "keys", "everybody"])
def test_others_who_are_too_many_to_be_named_are_gone_around(settings: Settings, name: str) -> None:
    others = "".join(f"namespace/team-{number}\n" for number in range(1000))
    Path(settings.bin_dir, "others").write_text(others)
    LOOKS[name](settings)
    calls = listings(settings)
    assert calls
    assert [call for call in calls if not is_chosen(call)] == []


def test_around_others_only_the_namespaces_are_asked_that_are_used(settings: Settings) -> None:
    others = "".join(f"namespace/team-{number}\n" for number in range(1000))
    Path(settings.bin_dir, "others").write_text(others)
    of_everybody(settings)
    asked = [call for call in listings(settings) if " --selector " not in call]
    spaces = sorted(call.partition(" --namespace ")[2].partition(" ")[0] for call in asked)
    assert spaces == (
        ["ada-develop", "bob-develop"] if settings.cluster_provider == "existing" else [""]
    )


def test_a_cluster_that_does_not_list_its_namespaces_is_not_asked_for_everything(
    settings: Settings,
) -> None:
    Path(settings.bin_dir, "others").unlink()
    assert live_secrets(settings.for_machine, [solo(settings), *SEATS]) == []
    if settings.cluster_provider == "existing":
        assert listings(settings) == []


def test_only_namespaces_that_are_not_wanted_are_left_out() -> None:
    (scope,) = only_in(["team-b", "develop", "team-a"], ["develop", "ada-develop"])
    left_out = "metadata.namespace!=team-a,metadata.namespace!=team-b"
    assert scope.arguments == ("--all-namespaces", "--field-selector", left_out)
    (scope,) = only_in(["team-a"], ["ada-develop", "bob-develop"], "metadata.name=sops-age")
    assert scope == Scope(None, "metadata.name=sops-age,metadata.namespace!=team-a")


def test_what_is_chosen_by_fields_is_chosen_in_each_namespace() -> None:
    others = [f"team-{number}" for number in range(1000)]
    found = only_in(others, ["bob-develop", "ada-develop"], "metadata.name=sops-age")
    assert [one.arguments for one in found] == [
        ("--namespace", name, "--field-selector", "metadata.name=sops-age")
        for name in ("ada-develop", "bob-develop")
    ]
