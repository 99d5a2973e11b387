"""What the board follows in the cluster: what the cluster reports, what is asked again, and how
that ends."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.settings import Settings
from sopslab.lab.observe.followed import Followed
from sopslab.lab.observe.following import AGAIN_S, ROUND_S, Following
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.waiting import wait_until
from sopslab.model.objects import Object
from sopslab.model.results import Undecided
from tests.texts import write_program
from tests.unit.board.board_material import flux_object, not_ready

_SOON_S = 20
_KUBECTL = """#!/bin/sh
for kind in gitrepositories kustomizations; do
    case "$*" in
    *"--raw /apis/"*"/$kind?"*watch=true*resourceVersion=7)
        echo $$ >>"$0.watching"
        exec tail -n +1 -f "$0.$kind.events"
        ;;
    esac
done
printf '%s\\n' "$*" >>"$0.asked"
[ ! -e "$0.refused" ] || { cat "$0.refused" >&2; exit 1; }
case "$*" in
*"/gitrepositories?"*) cat "$0.gitrepositories" ;;
*"/kustomizations?"*) cat "$0.kustomizations" ;;
*go-template*) cat "$0.secrets" ;;
*metadata.name=sops-age*) echo '{"items": []}' ;;
*" --selector !sops-lab/seat "*) seq --format namespace/somebody-elses-%g 1000 ;;
*" get namespaces --selector "*) printf 'namespace/%s-develop\\n' ada bob zoe ;;
*" get namespaces "*) echo '{"items": []}' ;;
*) exit 1 ;;
esac
"""


class Cluster:
    """A cluster that answers and reports what the test sets, and the clock of the follower."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.now = settings, 100.0
        self._kubectl = Path(settings.bin_dir, "kubectl")
        write_program(self._kubectl, _KUBECTL)
        for kind in ("gitrepositories", "kustomizations"):
            self.has(kind)
        self.file("secrets").write_text("")

    def file(self, name: str) -> Path:
        """Return a file beside kubectl that controls it or that it writes."""
        return self._kubectl.with_name(f"kubectl.{name}")

    def has(self, kind: str, *objects: Object) -> None:
        """Set the objects of a kind, without an event about them."""
        told = {"metadata": {"resourceVersion": "7"}, "items": objects}
        self.file(kind).write_text(json.dumps(told))
        self.file(f"{kind}.events").write_text("")

    def tell(self, kind: str, line: str) -> None:
        """Send a line to the watchers of a kind."""
        with self.file(f"{kind}.events").open("a") as events:
            events.write(f"{line}\n")

    def asked(self) -> list[str]:
        """Return kubectl's calls since the previous call of this method, except watches."""
        file = self.file("asked")
        found = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return found

    def watching(self) -> list[int]:
        """Return the ids of the processes that have watched."""
        return list(map(int, self.file("watching").read_text().split()))


def _event(found: Object, change: str = "MODIFIED") -> str:
    return json.dumps({"type": change, "object": found})


def _of(kind: str, seat: str, **status: Any) -> dict[str, Any]:
    name = "lab" if kind == "GitRepository" else "secrets-develop"
    found = flux_object(kind, f"lab-{seat}-sys", name, **status)
    found["metadata"]["labels"] = {"sops-lab/seat": seat}
    return found


@pytest.fixture
def cluster(lab: Callable[..., Settings]) -> Cluster:
    """A cluster with two seats."""
    made = Cluster(lab())
    made.has("kustomizations", _of("Kustomization", "ada"), _of("Kustomization", "bob"))
    made.has("gitrepositories", _of("GitRepository", "ada"), _of("GitRepository", "bob"))
    return made


@pytest.fixture
def following(cluster: Cluster, executor: Executor) -> Iterator[Following]:
    """A follower of the cluster that has asked once."""
    with Following(cluster.settings, executor, lambda: cluster.now) as made:
        _seen(made)
        cluster.asked()
        yield made


def _seen(following: Following) -> dict[str, str]:
    """Return, as far as it is known, the revision that each seat's Kustomization has applied."""
    questions = following.ask()
    questions.keys()
    questions.live()
    return {
        one["metadata"]["labels"]["sops-lab/seat"]: one["status"].get("lastAppliedRevision", "")
        for one in questions.objects().items
        if one["kind"] == "Kustomization"
    }


def _awaited(following: Following, before: object) -> None:
    assert wait_until(lambda: following.mark != before, _SOON_S, 0.01)


def test_while_nothing_changes_nothing_is_asked(cluster: Cluster, following: Following) -> None:
    before = following.mark
    cluster.now += ROUND_S - 1

    assert _seen(following) == {"ada": "", "bob": ""}
    assert following.mark == before
    assert cluster.asked() == []


def test_what_flux_has_applied_is_told_and_only_those_secrets_are_asked_for(
    cluster: Cluster, following: Following
) -> None:
    cluster.file("secrets").write_text("ada-develop\tmine\t\t\tpassword\n")
    before = following.mark
    cluster.tell("kustomizations", _event(_of("Kustomization", "ada", lastAppliedRevision="new")))
    _awaited(following, before)
    live = following.ask().live()

    assert set(live) == {"ada-develop"} and set(live["ada-develop"]) == {"mine"}
    assert _seen(following) == {"ada": "new", "bob": ""}
    asked = cluster.asked()
    assert len(asked) == 1 and " get secrets --namespace ada-develop " in asked[0]


def test_that_flux_goes_through_what_it_has_applied_is_no_news(
    cluster: Cluster, following: Following
) -> None:
    def says(seat: str, ready: str, revision: str) -> None:
        found = _of(
            "Kustomization",
            seat,
            lastAppliedRevision=revision,
            conditions=[{"type": "Ready", "status": ready}],
        )
        cluster.tell("kustomizations", _event(found))

    before = following.mark
    says("ada", "True", "old")
    _awaited(following, before)
    _seen(following)
    cluster.asked()
    before = following.mark
    says("ada", "Unknown", "old")
    says("ada", "True", "old")
    # The cluster reports this after the others: when it is known, they have arrived as well.
    says("bob", "True", "new")
    _awaited(following, before)
    _seen(following)
    (asked,) = cluster.asked()

    assert " get secrets --namespace bob-develop " in asked


def test_that_flux_fails_at_what_it_has_applied_is_told(
    cluster: Cluster, following: Following
) -> None:
    before = following.mark
    cluster.tell("kustomizations", _event(not_ready(_of("Kustomization", "ada"), "no key")))
    _awaited(following, before)


def test_a_secret_that_is_gone_is_not_there_any_more(cluster: Cluster, executor: Executor) -> None:
    cluster.file("secrets").write_text("ada-develop\tmine\t\t\tpassword\nbob-develop\tx\t\t\ty\n")
    with Following(cluster.settings, executor, lambda: cluster.now) as following:
        assert set(following.ask().live()["ada-develop"]) == {"mine"}
        _seen(following)
        cluster.file("secrets").write_text("")
        before = following.mark
        cluster.tell(
            "kustomizations", _event(_of("Kustomization", "ada", lastAppliedRevision="new"))
        )
        _awaited(following, before)
        live = following.ask().live()

    assert live["ada-develop"] == {}
    assert set(live["bob-develop"]) == {"x"}


def test_the_secrets_of_many_are_one_question(cluster: Cluster, following: Following) -> None:
    for seat in ("ada", "bob"):
        cluster.tell("kustomizations", _event(_of("Kustomization", seat, lastAppliedRevision="n")))
    assert wait_until(lambda: set(_revisions(following)) == {"n"}, _SOON_S, 0.01)
    cluster.asked()
    before = following.mark
    for seat in ("ada", "bob"):
        cluster.tell("kustomizations", _event(_of("Kustomization", seat, lastAppliedRevision="m")))
    _awaited(following, before)
    assert wait_until(lambda: set(_revisions(following)) == {"m"}, _SOON_S, 0.01)
    _seen(following)

    assert all(" get secrets " in one for one in cluster.asked())


def test_where_secrets_are_listed_by_seat_only_those_of_seats_that_changed_are(
    lab: Callable[..., Settings], executor: Executor
) -> None:
    elsewhere = {"cluster_provider": "existing", "kubeconfig": "/k", "context": "prod"}
    cluster = Cluster(lab(**elsewhere))
    seats = ("ada", "bob", "zoe")
    cluster.has("kustomizations", *(_of("Kustomization", seat) for seat in seats))
    with Following(cluster.settings, executor, lambda: cluster.now) as following:
        _seen(following)
        assert len(_listed(cluster)) == len(seats)
        for seat in seats[:2]:
            before = following.mark
            changed = _of("Kustomization", seat, lastAppliedRevision="n")
            cluster.tell("kustomizations", _event(changed))
            _awaited(following, before)
        _seen(following)
    assert set(_listed(cluster)) == {"ada-develop", "bob-develop"}


def _listed(cluster: Cluster) -> list[str]:
    """Return the namespaces in which Secrets were listed since this was asked."""
    asked = (one.partition(" get secrets --namespace ") for one in cluster.asked())
    return [rest.partition(" ")[0] for _, found, rest in asked if found]


def _revisions(following: Following) -> list[str]:
    return list(_seen(following).values())


def test_a_source_that_changes_asks_for_no_secret(cluster: Cluster, following: Following) -> None:
    before = following.mark
    cluster.tell("gitrepositories", _event(_of("GitRepository", "ada", artifact={"revision": "n"})))
    _awaited(following, before)
    sources = [one for one in following.ask().objects().items if one["kind"] == "GitRepository"]

    assert [one["status"].get("artifact") for one in sources] == [{"revision": "n"}, None]
    assert cluster.asked() == []


def test_what_is_deleted_is_gone(cluster: Cluster, following: Following) -> None:
    before = following.mark
    cluster.tell("kustomizations", _event(_of("Kustomization", "ada"), "DELETED"))
    _awaited(following, before)

    assert _seen(following) == {"bob": ""}


def test_what_is_not_told_is_seen_in_the_next_round(cluster: Cluster, following: Following) -> None:
    cluster.has("kustomizations", _of("Kustomization", "ada", lastAppliedRevision="late"))
    before = following.mark
    cluster.now += ROUND_S
    due = following.mark

    assert due != before
    assert _seen(following) == {"ada": "late"}
    # Having asked is no reason to look again.
    assert following.mark == due


@pytest.mark.parametrize(
    "line",
    [
        '{"type": "ERROR", "object": {"kind": "Status", "code": 410}}',
        '{"type": "MODIFIED", "object": {"metadata": {"na',
        '{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}',
        "[]",
    ],
    ids=["too-old", "cut-off", "of-no-object", "no-event"],
)
def test_who_is_told_no_event_asks_again_but_not_at_once(
    cluster: Cluster, following: Following, line: str
) -> None:
    cluster.now += AGAIN_S
    before = following.mark
    cluster.tell("kustomizations", line)
    _awaited(following, before)
    _seen(following)
    assert len(cluster.asked()) == 5

    cluster.now += AGAIN_S - 1
    before = following.mark
    cluster.tell("gitrepositories", line)
    _seen(following)
    assert cluster.asked() == []
    cluster.now += 1
    _awaited(following, before)


def test_a_watch_that_dies_is_followed_by_another_list(
    cluster: Cluster, following: Following
) -> None:
    assert wait_until(lambda: len(cluster.watching()) == 2, _SOON_S, 0.01)
    cluster.now += AGAIN_S
    before = following.mark
    cluster.has("kustomizations", _of("Kustomization", "ada", lastAppliedRevision="since"))
    for process in cluster.watching():
        os.kill(process, 9)
    _awaited(following, before)

    assert _seen(following) == {"ada": "since"}


def test_a_cluster_that_is_gone_is_not_shown_as_it_was(
    cluster: Cluster, following: Following
) -> None:
    cluster.file("refused").write_text("connection refused")
    cluster.now += ROUND_S
    with pytest.raises(Undecided):
        _seen(following)
    asked = cluster.asked()
    cluster.now += AGAIN_S - 1
    with pytest.raises(Undecided):
        _seen(following)
    assert asked and cluster.asked() == []

    cluster.file("refused").unlink()
    cluster.now += 1
    assert _seen(following) == {"ada": "", "bob": ""}


def test_a_cluster_without_flux_is_told_from_one_without_objects(cluster: Cluster) -> None:
    cluster.file("refused").write_text(
        "Error from server (NotFound): the server could not find the requested resource"
    )
    kubectl = Kubectl(cluster.settings)
    absent = Followed(kubectl, "Kustomization", lambda _: None)

    assert absent.objects.within("Kustomization", "lab-ada-sys") is None
    assert absent.is_over


def test_who_follows_no_longer_leaves_no_process(cluster: Cluster, executor: Executor) -> None:
    with Following(cluster.settings, executor, lambda: cluster.now) as following:
        _seen(following)
        assert wait_until(lambda: len(cluster.watching()) == 2, _SOON_S, 0.01)
        cluster.now += ROUND_S
        _seen(following)
        assert wait_until(lambda: len(cluster.watching()) == 4, _SOON_S, 0.01)
        first, second = cluster.watching()[:2]
        assert not _is_there(first) and not _is_there(second)

    assert not any(map(_is_there, cluster.watching()))


def _is_there(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False
