"""The learners' access where the cluster signs no certificates: tokens are chosen, issued and
seen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.act.access import prove, retire
from sopslab.lab.observe.access import access_ends, seat_access
from sopslab.lab.observe.issuers import issuer_of, known_issuer
from sopslab.lab.observe.users import seat_users
from sopslab.model.access import Issuer
from sopslab.provision.operations import access
from tests.beginnings import begin
from tests.commands import failures
from tests.fake import Applied
from tests.signing import SigningCluster

SEATS = ["ada", "bob", "007"]
DAY_S = 24 * 3600


@pytest.fixture
def settings(lab: Callable[..., Settings]) -> Settings:
    return lab(
        cluster_provider="existing", kubeconfig="/home/ada/.kube/config", context="class",
        git_url="https://git.example/class", git_username="class", git_password="not a real one",
    )  # fmt: skip


@pytest.fixture
def cluster(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> SigningCluster:
    """A cluster that approves requests for certificates, but never signs the probe's."""
    monkeypatch.setattr(access, "CHOSEN_WITHIN", 1)
    found = SigningCluster(settings)
    found.tell("silent", "probe")
    found.tell("granted", str(DAY_S))
    return found


@pytest.fixture
def granted(settings: Settings, cluster: SigningCluster, beginnings: Path) -> SigningCluster:
    """The same cluster, after it has given each seat a token."""

    def make() -> None:
        assert choose(settings).changed
        assert issue(settings).changed

    begin(Path(settings.root), beginnings / "granted", make)
    return cluster


def choose(settings: Settings) -> Applied:
    return Applied(access.issuer, settings=settings)


def issue(settings: Settings, *seats: str) -> Applied:
    named = list(seats or SEATS)
    Applied(access.generations, settings=settings, seats=named)
    return Applied(access.kubeconfigs, settings=settings, seats=named)


def states(settings: Settings) -> dict[str, str]:
    return seat_access(settings.for_machine, seats=SEATS)


def test_a_cluster_that_signs_is_asked_once(settings: Settings) -> None:
    cluster = SigningCluster(settings)
    assert known_issuer(settings.for_machine) is None
    assert choose(settings).changed
    assert known_issuer(settings.for_machine) is Issuer.CERTIFICATES
    assert cluster.requests == [], "nothing of the probe is left"
    assert not choose(settings).changed
    assert issue(settings, "ada").changed
    assert "client-key-data" in (Path(settings.seat_dir("ada")) / "kubeconfig").read_text()


@pytest.mark.parametrize("how", ["silent", "denies", "refuses", "unapproved", "distrusts"])
def test_a_cluster_that_does_not_sign_or_trusts_no_signature_has_tokens(
    settings: Settings, cluster: SigningCluster, how: str
) -> None:
    cluster.tell("silent")
    cluster.tell(how, "probe")
    assert choose(settings).changed
    assert known_issuer(settings.for_machine) is Issuer.TOKENS
    assert cluster.requests == []
    assert [path.name for path in Path(settings.class_dir).iterdir()] == ["issuer.json"]


def test_another_cluster_is_asked_anew(settings: Settings, cluster: SigningCluster) -> None:
    assert choose(settings).changed
    cluster.make_anew("https://127.0.0.1:6443")
    cluster.tell("silent")
    assert known_issuer(settings.for_machine) is None
    assert choose(settings).changed
    assert known_issuer(settings.for_machine) is Issuer.CERTIFICATES


def test_a_cluster_that_does_not_answer_has_not_said_no(
    settings: Settings, cluster: SigningCluster
) -> None:
    cluster.tell("gone")
    assert choose(settings).failed
    assert not Path(settings.issuer_file).exists()


def test_a_kind_cluster_is_never_asked(lab: Callable[..., Settings]) -> None:
    ours = lab()
    Path(ours.class_dir).mkdir(parents=True)
    Path(ours.issuer_file).write_text(json.dumps({"cluster": "x", "issuer": "tokens"}))
    assert issuer_of(ours) is Issuer.CERTIFICATES


def test_each_seat_has_a_token_of_an_account_of_its_generation(
    settings: Settings, granted: SigningCluster
) -> None:
    users = seat_users(settings.for_machine)
    assert set(granted.accounts) == set(users.values())
    assert not any(one["automountServiceAccountToken"] for one in granted.accounts.values())
    assert states(settings) == dict.fromkeys(SEATS, "current")
    for seat in SEATS:
        folder = Path(settings.seat_dir(seat))
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert modes == dict.fromkeys(("generation", "kubeconfig", "token.json"), 0o600)
        (user,) = yaml.safe_load((folder / "kubeconfig").read_text())["users"]
        assert list(user["user"]) == ["token"]
        token = (granted.folder / "tokens" / user["user"]["token"]).read_text()
        assert (
            token.strip()
            == users[seat]
            == f"system:serviceaccount:lab-{seat}-sys:"
            + (f"learner-{(folder / 'generation').read_text().strip()}")
        )


def test_the_granted_lifetime_counts_and_not_the_one_asked_for(
    settings: Settings, granted: SigningCluster
) -> None:
    asked = [call for call in granted.calls if " create token " in call]
    assert len(asked) == len(SEATS)
    assert all(f"--duration {30 * DAY_S}s" in call for call in asked)
    on_record = json.loads((Path(settings.seat_dir("ada")) / "token.json").read_text())
    assert on_record["end"] - on_record["begin"] == DAY_S
    assert set(access_ends(settings.for_machine, SEATS)) == set(SEATS)
    # After 16 h 40 min of the day, less than a third is left.
    on_record |= {"begin": int(time.time()) - 60_000, "end": int(time.time()) + 26_400}
    (Path(settings.seat_dir("ada")) / "token.json").write_text(json.dumps(on_record))
    assert states(settings)["ada"] == "stale: its token ends in less than 8 h 0 min"


def test_a_second_run_changes_nothing_and_asks_for_no_token(
    settings: Settings, granted: SigningCluster
) -> None:
    before = len(granted.calls)
    assert not choose(settings).changed
    assert not issue(settings).changed
    assert [call for call in granted.calls[before:] if " create " in call] == []


def test_a_token_is_in_no_output_and_no_argument(
    settings: Settings, cluster: SigningCluster
) -> None:
    choose(settings)
    done = issue(settings)
    said = "\n".join([done.stdout, done.stderr, *cluster.calls])
    tokens = [path.name for path in (cluster.folder / "tokens").iterdir()]
    assert len(tokens) == len(SEATS)
    assert [token for token in tokens if token in said] == []


def test_a_renewed_token_is_of_the_same_account(
    settings: Settings, granted: SigningCluster
) -> None:
    folder, accounts = Path(settings.seat_dir("ada")), granted.accounts
    before = (folder / "token.json").read_text()
    (folder / "kubeconfig").unlink()
    assert issue(settings).changed
    assert (folder / "token.json").read_text() != before
    assert granted.accounts == accounts


def test_replaced_access_deletes_the_account_that_it_had(
    settings: Settings, granted: SigningCluster
) -> None:
    before = granted.accounts
    former = seat_users(settings.for_machine)["ada"]
    (Path(settings.seat_dir("ada")) / "generation").write_text("c0ffee00c0ffee\n")
    assert states(settings)["ada"] == "stale: its token is of another generation"
    assert issue(settings).changed
    new = "system:serviceaccount:lab-ada-sys:learner-c0ffee00c0ffee"
    assert before.keys() ^ granted.accounts.keys() == {former, new}
    assert states(settings) == dict.fromkeys(SEATS, "current")


def test_an_account_that_may_have_stayed_is_said_and_deleted_by_the_next_run(
    settings: Settings, granted: SigningCluster
) -> None:
    former = seat_users(settings.for_machine)["ada"]
    (Path(settings.seat_dir("ada")) / "generation").write_text("c0ffee00c0ffee\n")
    granted.tell("breaks")
    assert issue(settings).changed
    assert list(failures(settings)) == ["ada"]
    assert failures(settings)["ada"].startswith("its former ServiceAccount stays: ")
    (Path(settings.class_dir) / "failed" / "ada").unlink()
    (granted.folder / "breaks").unlink()
    left = "stale: its former ServiceAccount is still there"
    assert states(settings) == {**dict.fromkeys(SEATS, "current"), "ada": left}
    assert issue(settings).changed
    assert former not in granted.accounts
    assert states(settings) == dict.fromkeys(SEATS, "current")
    assert failures(settings) == {}


def test_a_replaced_token_is_kept_until_it_is_proven_worthless(
    settings: Settings, granted: SigningCluster
) -> None:
    machine = settings.for_machine
    former = seat_users(machine)["ada"]
    retire(machine, {"ada": "c0ffee00c0ffee"})
    assert issue(settings, "ada").changed
    present = seat_users(machine)["ada"]
    granted.tell("bound", former, present)
    with pytest.raises(LabError, match="ada: after 0 s the old token still opens ada-develop"):
        prove(machine, ["ada"], 0)
    granted.tell("bound", present)
    prove(machine, ["ada"], 0)
    assert not Path(settings.class_dir, "retired", "ada").exists()


def test_a_token_ends_with_its_account_even_if_that_comes_back(
    settings: Settings, granted: SigningCluster
) -> None:
    user = seat_users(settings.for_machine)["bob"]
    path = granted.folder / "accounts" / ("lab-bob-sys." + user.rpartition(":")[2] + ".json")
    account = json.loads(path.read_text())
    account["metadata"]["uid"] = "another"
    path.write_text(json.dumps(account))
    gone = "stale: its ServiceAccount is gone"
    assert states(settings) == {**dict.fromkeys(SEATS, "current"), "bob": gone}
    path.unlink()
    assert states(settings)["bob"] == gone
    assert issue(settings).changed
    assert states(settings) == dict.fromkeys(SEATS, "current")


def test_a_cluster_that_does_not_show_accounts_makes_no_token_stale(
    settings: Settings, granted: SigningCluster
) -> None:
    granted.tell("hides")
    assert states(settings) == dict.fromkeys(SEATS, "current")


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda path: path.write_text("{}"), "its token cannot be read"),
        (lambda path: path.write_text(path.read_text()[:40]), "its token cannot be read"),
        (lambda path: path.unlink(), "its token cannot be read"),
        (lambda path: path.chmod(0o640), "others could read it"),
    ],
)
def test_a_damaged_token_is_said_of_its_own_seat(
    settings: Settings,
    granted: SigningCluster,
    damage: Callable[[Path], object],
    fault: str,
) -> None:
    damage(Path(settings.seat_dir("ada")) / "token.json")
    assert states(settings) == {**dict.fromkeys(SEATS, "current"), "ada": f"stale: {fault}"}


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("refuses", "the cluster refused its ServiceAccount: the lab may not do that in this"),
        ("grants_no", "its token was not issued: the lab may not do that in this cluster"),
    ],
)
def test_a_seat_without_a_token_says_why_and_all_others_are_finished(
    settings: Settings, cluster: SigningCluster, how: str, sentence: str
) -> None:
    choose(settings)
    cluster.tell(how, "bob")
    assert issue(settings).changed
    assert states(settings) == {"ada": "current", "bob": "missing", "007": "current"}
    assert list(failures(settings)) == ["bob"]
    assert failures(settings)["bob"].startswith(sentence)


def test_a_cluster_without_time_left_fails_each_seat_that_waits(
    settings: Settings, cluster: SigningCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(settings)
    monkeypatch.setattr(access, "ISSUED_WITHIN", 0)
    assert issue(settings).changed
    late = "its token was not issued in time: run `sopslab up` again\n"
    assert failures(settings) == dict.fromkeys(SEATS, late)
    assert states(settings) == dict.fromkeys(SEATS, "missing")


def test_what_another_issuer_gave_is_removed(settings: Settings, cluster: SigningCluster) -> None:
    cluster.tell("silent")
    choose(settings)
    issue(settings, "ada")
    folder = Path(settings.seat_dir("ada"))
    assert (folder / "client.key").exists()
    cluster.make_anew("https://127.0.0.1:6443")
    cluster.tell("silent", "probe")
    choose(settings)
    assert issue(settings).changed
    assert {path.name for path in folder.iterdir()} == {"generation", "kubeconfig", "token.json"}
    assert states(settings) == dict.fromkeys(SEATS, "current")
