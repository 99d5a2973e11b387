"""Whatever happens to a class, and in whatever order, an `up` mends it, and nothing is lost.

`SOPSLAB_CAMPAIGN_SEED` replays a campaign; the seed is printed when it begins.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from typing_extensions import override

from sopslab.config.inputs import CLASSROOM
from sopslab.config.naming import seat_namespace, seat_system_namespace
from sopslab.errors import Exit
from sopslab.lab.act.mistakes import TEAMMATE
from tests.cluster.classroom import SEATS, Classroom, version_of, write_roster
from tests.cluster.isolation.campaign import ATTACKS
from tests.cluster.isolation.hostile import Hostile
from tests.cluster.lab import SOPSLAB, Lab, lab_name, run

pytestmark = [pytest.mark.soak, pytest.mark.campaign]

SEED = int(os.environ.get("SOPSLAB_CAMPAIGN_SEED") or random.SystemRandom().getrandbits(32))
# How many sequences of acts there are, for how many seconds acts are begun in each of them, and
# after how many acts the class is put in order. hypothesis leaves out some kinds of acts in each
# sequence.
SEQUENCES, LONGEST, TOGETHER = 4, 450.0, 3
# What was done so often has succeeded at least once.
OFTEN = 10
Codes = defaultdict[str, list[int]]
GUEST = "dan"
IDENTITY = re.compile(rb"AGE-SECRET-KEY-1[A-Z0-9]+")
KUSTOMIZATION = "flux/secrets/develop/kustomization.yaml"
# The objects of a seat that no action of anybody else may touch.
KINDS = "secrets,configmaps,resourcequotas,networkpolicies,rolebindings,serviceaccounts"
# How a cluster is changed by hand: the namespace, or "" for objects that are in none, and the
# arguments of kubectl.
DRIFT = {
    "key": ("{system}", "delete secret sops-age"),
    "canary": ("{own}", "delete secret lab-canary"),
    "suspended": ("{system}", "patch kustomization secrets-develop --type=merge"
                              " --patch={{\"spec\":{{\"suspend\":true}}}}"),
    "source": ("{system}", "delete gitrepository lab"),
    "quota": ("{own}", "delete resourcequota --all"),
    "namespace": ("", "delete namespace {own} --wait=false"),
    "controller": ("flux-system", "scale deployment kustomize-controller --replicas=0"),
    "policy": ("", "delete validatingadmissionpolicies --all"),
}  # fmt: skip


def drift(seat: str, what: str) -> list[str]:
    """Return the arguments of kubectl that change the cluster for a seat."""
    namespace, command = DRIFT[what]
    names = {"own": seat_namespace(seat), "system": seat_system_namespace(seat)}
    where = ["--namespace", namespace.format(**names)] if namespace else []
    return [*where, *command.format(**names).split()]


@pytest.fixture(scope="module")
def classroom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classroom]:
    """A class of this module's own."""
    lab = Lab(lab_name("campaign"), tmp_path_factory.mktemp("campaign"), {})
    lab.remove()
    found = Classroom(lab)
    with pytest.MonkeyPatch.context() as environment:
        # A learner's git does not wait for ever for a server that is paused.
        environment.setenv("GIT_HTTP_LOW_SPEED_LIMIT", "1")
        environment.setenv("GIT_HTTP_LOW_SPEED_TIME", "20")
        try:
            found.up()
            yield found
        finally:
            lab.remove()


@pytest.mark.parametrize("what", DRIFT)
def test_each_drift_finds_something_to_change(classroom: Classroom, what: str) -> None:
    said = classroom.lab.kubectl(*drift(SEATS[0], what), "--dry-run=server")
    # kubectl names what would change, and of a patch says if it would change nothing.
    assert said and "(no change)" not in said


def test_whatever_is_done_to_a_class_an_up_mends_it(classroom: Classroom) -> None:
    print(f"SOPSLAB_CAMPAIGN_SEED={SEED}")
    # hypothesis begins with the simplest sequence there is, one act again and again.
    lengths = iter([0.0, *[LONGEST] * SEQUENCES])

    failures: list[BaseException] = []
    ended: Codes = defaultdict(list)

    @seed(SEED)
    class ThisCampaign(Campaign):
        def __init__(self) -> None:
            super().__init__(classroom, time.monotonic() + next(lengths), ended)

        @override
        def teardown(self) -> None:
            if failure := sys.exception():
                failures.append(failure)
            else:
                super().teardown()

    try:
        run_state_machine_as_test(
            ThisCampaign,
            settings=settings(
                max_examples=1 + SEQUENCES,
                stateful_step_count=80,
                database=None,
                # Do not shrink a failing campaign: hypothesis would run it again and again.
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    except Exception as error:
        # Nor is a failing campaign replayed: hypothesis would complain about that and hide the
        # reason.
        raise (failures or [error])[0] from None
    print({act: Counter(codes) for act, codes in ended.items()})
    often = {act: codes for act, codes in ended.items() if len(codes) >= OFTEN}
    assert often and not [act for act, codes in often.items() if Exit.OK not in codes]


class Campaign(RuleBasedStateMachine):
    """What may happen to a class, and what has to hold after each act."""

    def __init__(self, classroom: Classroom, until: float, ended: Codes) -> None:
        super().__init__()
        self.classroom, self.until, self.ended = classroom, until, ended
        self.lab = classroom.lab
        self.ids: tuple[str, ...] = SEATS
        # The seats whose branch main may hold what Flux cannot build.
        self.spoiled: set[str] = set()
        # How many acts there were since the class was in order.
        self.acts = 0
        self.identities: set[bytes] = set()
        self.commits: set[str] = set()
        self.remember()

    # What happens.

    def begin(self, *what: object) -> bool:
        """Print what happens now, and return whether it may: hypothesis draws acts even when the
        time is over."""
        if time.monotonic() > self.until:
            return False
        if self.acts == TOGETHER:
            self.settle()
        self.acts += 1
        print(*what, flush=True)
        return True

    @rule()
    def up(self) -> None:
        if not self.begin("up"):
            return
        self.act("up", *self.class_up())

    @rule(seconds=st.floats(0.2, 12), group=st.booleans())
    def killed(self, seconds: float, group: bool) -> None:
        if not self.begin("killed", seconds, group):
            return
        with self.watched():
            process = subprocess.Popen(
                [SOPSLAB, "up", "--json", *self.class_up()],
                env=self.lab.base_environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            try:
                said, _ = process.communicate(timeout=seconds)
                self.ended["killed"].append(Exit.FAILED)
            except subprocess.TimeoutExpired:
                if group:
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    process.kill()
                said, _ = process.communicate()
                self.ended["killed"].append(Exit.OK)
        self.check_said("killed", said)

    @rule(seat=st.sampled_from(SEATS), to=st.sampled_from(["start", "encrypted", "wired", "done"]))
    def reset(self, seat: str, to: str) -> None:
        if not self.begin("reset", seat, to):
            return
        if self.act("reset", seat, "--to", to, of=seat) == Exit.OK:
            self.spoiled.discard(seat)

    @rule(seat=st.sampled_from(SEATS))
    def rotate(self, seat: str) -> None:
        if not self.begin("rotate", seat):
            return
        self.act("rotate", "cluster-key", seat, "--yes", of=seat)

    @rule(seat=st.sampled_from(SEATS), number=st.integers(0, 1000))
    def broken(self, seat: str, number: int) -> None:
        if not self.begin("break", seat, number):
            return
        # Nothing can be broken before the exercise is done.
        if self.act("reset", seat, "--to", "done", of=seat) == Exit.OK:
            self.spoiled.discard(seat)
        self.act("break", "--random", "--seed", str(number), seat, of=seat)

    @rule()
    def fixed(self) -> None:
        if not self.begin("fix"):
            return
        self.act("fix")

    @rule(seat=st.sampled_from(SEATS))
    def reissued(self, seat: str) -> None:
        if not self.begin("reissue", seat):
            return
        self.act("reissue", seat, of=seat)

    @rule()
    def guest_comes_or_goes(self) -> None:
        if not self.begin("guest"):
            return
        self.ids = SEATS if GUEST in self.ids else (*SEATS, GUEST)
        self.act("up", *self.class_up(), "--prune")

    @rule(seat=st.sampled_from(SEATS), good=st.booleans())
    def pushed(self, seat: str, good: bool) -> None:
        if not self.begin("push", seat, good):
            return

        def push(learner: Hostile) -> int:
            if not good:
                self.spoiled.add(seat)
                (learner.work / KUSTOMIZATION).write_text("resources: [nowhere.yaml]\n")
            (learner.work / "notes.md").write_text(str(time.time_ns()))
            return learner.push(check=False).returncode == Exit.OK

        self.learn(seat, "push", push)

    @rule(seat=st.sampled_from(SEATS), name=st.sampled_from(sorted(ATTACKS)))
    def attacked(self, seat: str, name: str) -> None:
        if not self.begin("attack", seat, name):
            return
        self.spoiled.add(seat)
        self.learn(seat, "attack", ATTACKS[name])

    @rule(seat=st.sampled_from(SEATS), what=st.sampled_from(sorted(DRIFT)))
    def drifted(self, seat: str, what: str) -> None:
        if not self.begin("drift", seat, what):
            return
        done = self.lab.run("kubectl", "--request-timeout=10s", *drift(seat, what), check=False)
        self.ended["drift"].append(done.returncode)

    @rule(which=st.sampled_from(["node", "git_server"]), how=st.sampled_from(["stop", "pause"]))
    def stopped(self, which: str, how: str) -> None:
        if not self.begin("docker", how, which):
            return
        done = run(["docker", how, getattr(self.lab, which)], check=False)
        self.ended[f"docker {how}"].append(done.returncode)

    @rule()
    def down(self) -> None:
        if not self.begin("down"):
            return
        self.act("down")

    @override
    def teardown(self) -> None:
        self.settle()

    # How it is looked at.

    def class_up(self) -> tuple[str, ...]:
        roster = write_roster(self.lab.folder / "roster.yaml", self.ids)
        return (CLASSROOM, "--roster", str(roster))

    def act(self, verb: str, *arguments: str, of: str = "") -> int:
        """Run a verb and return its exit code; if `of` is given, only this seat may change."""
        with self.watched(of):
            done = self.lab.sopslab(verb, *arguments, check=False)
        self.check_said(f"{verb} {arguments}", (done.stdout + done.stderr).encode())
        assert "Traceback" not in done.stderr, done.stderr
        self.ended[verb].append(done.returncode)
        return done.returncode

    def learn(self, seat: str, what: str, action: Callable[[Hostile], int]) -> None:
        """Let a learner do something in a fresh clone, if the Git server lets them have one.

        + action: returns 0 if it did nothing
        """
        folder = self.lab.folder / f"{seat}-{time.time_ns()}"
        folder.mkdir()
        learner = Hostile(self.classroom, seat, folder)
        try:
            assert learner.work.is_dir()
        except AssertionError:
            self.ended["clone"].append(Exit.FAILED)
            return
        self.ended["clone"].append(Exit.OK)
        with self.watched(seat):
            done = action(learner)
        self.ended[what].append(Exit.OK if done else Exit.FAILED)

    def watched(self, of: str = "") -> Watched:
        """Check that a block changes nothing for other seats than `of`, if `of` is given."""
        return Watched(self, of)

    def remember(self) -> None:
        """Check that no identity or commit that was ever there is lost, and note the new ones."""
        top = Path(self.lab.settings.lab_dir)
        found = {
            identity
            for path in top.rglob("*")
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 100_000
            for identity in IDENTITY.findall(path.read_bytes())
        }
        assert self.identities <= found, "an identity is lost"
        self.identities = found
        kept: set[str] = set()
        for bare in top.rglob("lab.git"):
            kept |= authored(bare, "--all")
        assert self.commits <= kept, "a commit is lost"
        for seat in self.ids:
            self.commits |= authored(self.classroom.bare(seat), "--max-count=1", "refs/heads/main")

    def versions(self, seats: set[str]) -> dict[str, str] | None:
        """Return the refs of these seats, and the version of each object; None where nobody
        answers."""
        found = {}
        for seat in seats:
            bare = str(self.classroom.bare(seat))
            found[seat] = run(["git", "-C", bare, "for-each-ref"], check=False).stdout
            for namespace, kinds in (
                (seat_namespace(seat), KINDS),
                (seat_system_namespace(seat), "secrets"),
            ):
                listed = self.lab.kubectl(
                    "--request-timeout=5s", "-n", namespace, "get", kinds, "-o", "json",
                    check=False,
                )  # fmt: skip
                if not listed:
                    return None
                for item in json.loads(listed)["items"]:
                    name = f"{namespace}/{item['kind']}/{item['metadata']['name']}"
                    found[name] = version_of(item)
        return found

    def check_said(self, what: str, said: bytes) -> None:
        """Check that no identity, password or value is in what was printed."""
        top = Path(self.lab.settings.git_dir)
        secrets = self.identities | {
            path.read_bytes().strip() for path in top.glob("credentials/*/password")
        }
        listed = self.lab.kubectl(
            "--request-timeout=5s", "get", "secrets", "-A", "-o", "json",
            "--field-selector=metadata.name=lab-canary", check=False,
        )  # fmt: skip
        for item in json.loads(listed)["items"] if listed else ():
            secrets |= {base64.b64decode(value) for value in item.get("data", {}).values()}
        assert not [secret for secret in secrets if secret and secret in said], f"{what} shows one"
        self.remember()

    def settle(self) -> None:
        """Put the class in order, and check that it is."""
        if not self.acts:
            return
        self.acts = 0
        print("settle", flush=True)
        self.lab.sopslab("fix", check=False)
        answer = self.classroom.up("--prune", ids=self.ids, check=False)
        if answer["code"] == Exit.PARTIAL and self.spoiled:
            self.lab.sopslab("reset", *sorted(self.spoiled))
            answer = self.classroom.up(ids=self.ids, check=False)
        self.spoiled = set()
        assert answer["code"] == Exit.OK, answer["problems"]
        again = self.classroom.up(ids=self.ids)
        assert self.lab.changes(again) == []
        self.remember()
        for seat in self.ids:
            self.agree(seat)

    def agree(self, seat: str) -> None:
        """Check that `verify` and `doctor` do not contradict each other."""
        folder = self.lab.folder / f"agree-{time.time_ns()}"
        folder.mkdir()
        clone = self.classroom.clone(seat, folder)
        doctor = self.lab.sopslab("doctor", seat, "--json", check=False)
        verify = run(
            [SOPSLAB, "verify", "--json", "--wait", "20"],
            env=self.lab.environment, cwd=clone, check=False,
        )  # fmt: skip
        assert (doctor.returncode, verify.returncode) in {(0, 0), (0, 1), (1, 1)}, (
            doctor.stdout + verify.stdout
        )


def authored(bare: Path, *which: str) -> set[str]:
    """Return who made commits, when, and with which subject. That stays even if a mistake below
    them is taken out of the history.

    A mistake itself is left out: `fix` is there to take it out.
    """
    told = run(["git", "-C", str(bare), "log", "--format=%ae %at %s", *which], check=False).stdout
    return {line for line in told.splitlines() if not line.startswith(TEAMMATE.email)}


class Watched:
    """Checks that seats that a block may not affect have the same objects afterwards."""

    def __init__(self, campaign: Campaign, of: str) -> None:
        self._campaign = campaign
        self._others = set(SEATS) - {of} if of else set()

    def __enter__(self) -> None:
        self._before = self._campaign.versions(self._others)

    def __exit__(self, kind: object, *_: object) -> None:
        after = self._campaign.versions(self._others)
        if kind is None and self._before is not None and after is not None:
            assert after == self._before, "somebody else's objects changed"
        self._campaign.remember()
