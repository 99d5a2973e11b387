"""Where the time of some work went: looks at processes, and how they are added up."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from typing_extensions import override

from sopslab.lab.tools.waiting import wait_until
from tests.bench.profile import BRIEF, OURS, START, Look, Profile, Seen, fold, median
from tests.bench.watching import (
    Machine,
    Place,
    container_of,
    name_of,
    parsed,
    place_of,
    resident,
    usage,
    watching,
)

ONE, OTHER = "1" * 64, "2" * 64
MIB = 2**20


def look(at: float, used: dict[str, float], **processes: tuple[str, float]) -> Look:
    """Return a look at processes, each with its owner and its processor seconds."""
    seen = {
        (number, 0): Seen(owner, name, processor, number * MIB)
        for number, (name, (owner, processor)) in enumerate(processes.items(), 1)
    }
    return Look(at, used, dict.fromkeys(used, 100 * MIB), seen)


def test_what_was_used_is_its_components_and_what_no_look_saw() -> None:
    before = look(0, {ONE: 5.0, OURS: 1.0}, etcd=(ONE, 2.0), sopslab=(OURS, 0.0))
    after = look(10, {ONE: 9.0, OURS: 2.0}, etcd=(ONE, 5.0), sopslab=(OURS, 1.0))
    found = fold([before, after], {ONE: "node", OURS: OURS})
    assert found.spent == {
        ("", "node", "etcd"): 3.0, ("", "node", BRIEF): 1.0, ("", OURS, "sopslab"): 1.0,
    }  # fmt: skip
    assert (found.seconds, found.processor) == (10, 5.0)
    assert found.by(1) == {("node",): 4.0, (OURS,): 1.0}


def test_steps_share_what_is_between_two_looks_and_the_last_one_ends_with_the_work() -> None:
    looks = [look(at, {ONE: at / 10}, etcd=(ONE, at / 10)) for at in (0.0, 10.0, 20.0)]
    found = fold(looks, {ONE: "node"}, [("Host", 4.0), ("Cluster", 11.0)])
    assert found.steps == {START: 5.0, "Host": 4.0, "Cluster": 11.0}
    assert {step: round(seconds, 6) for (step,), seconds in found.by(0).items()} == {
        START: 0.5, "Host": 0.4, "Cluster": 1.1,
    }  # fmt: skip


def test_a_container_that_is_made_meanwhile_counts_from_its_beginning_and_one_that_goes_stays() -> (
    None
):
    looks = [
        look(0, {ONE: 7.0}, etcd=(ONE, 7.0)),
        look(1, {ONE: 8.0}, etcd=(ONE, 8.0)),
        look(2, {OTHER: 0.5}),
        look(3, {OTHER: 2.0}),
    ]
    found = fold(looks, {ONE: "node", OTHER: "node"})
    assert found.spent == {("", "node", "etcd"): 1.0, ("", "node", BRIEF): 2.0}


def test_what_nobody_asked_for_is_left_out() -> None:
    looks = [look(at, {ONE: at, OTHER: at}, etcd=(OTHER, at)) for at in (0.0, 1.0)]
    found = fold(looks, {ONE: "node"})
    assert found.by(1) == {("node",): 1.0}
    assert set(found.peaks) == {("node", "")}


def test_a_sum_that_sinks_for_a_moment_is_not_counted_twice() -> None:
    """A process that ends between two reads is missing from both sums of that look."""
    looks = [look(at, {OURS: used}) for at, used in enumerate((1.0, 3.0, 2.0, 4.0))]
    assert fold(looks, {OURS: OURS}).processor == 3.0


def test_clocks_that_round_differently_make_no_negative_rest() -> None:
    looks = [look(at, {ONE: at}, etcd=(ONE, at * 1.01)) for at in (0.0, 1.0)]
    assert fold(looks, {ONE: "node"}).spent == {("", "node", "etcd"): 1.01}


def test_memory_is_the_most_that_was_seen_at_once() -> None:
    looks = [
        look(0, {ONE: 0.0}, etcd=(ONE, 0.0)),
        look(1, {ONE: 0.0}, etcd=(ONE, 0.0), kubelet=(ONE, 0.0)),
        Look(2, {}, {ONE: 7}, {(1, 0): Seen(ONE, "etcd", 0.0, 7)}),
    ]
    peaks = fold(looks, {ONE: "node"}).peaks
    assert peaks == {("node", ""): 100.0, ("node", "etcd"): 1.0, ("node", "kubelet"): 2.0}


def test_a_profile_is_read_back_as_it_was_kept() -> None:
    whole = Profile(
        3.0, {"Host": 1.0, "Flux": 2.0},
        {("Host", "node", "etcd"): 0.5, ("Flux", OURS, "git"): 1.5}, {("node", ""): 80.0},
    )  # fmt: skip
    assert Profile.of_dict(whole.as_dict()) == whole
    assert median([Profile(1), whole, Profile(2, {}, {("", "node", "etcd"): 1.0})]).seconds == 2


STAT = "4242 (a) b) S 7 1 1 0 -1 4194560 9 0 0 0 150 50 30 20 20 0 3 0 88000 900 25 0 0 0\n"


def test_a_process_is_read_whatever_it_is_called() -> None:
    stat = parsed(STAT)
    assert stat is not None
    assert (stat.command, stat.parent, stat.own, stat.children) == ("a) b", 7, 200, 50)
    assert (stat.began, stat.memory) == (88000, 25 * 4096)
    assert parsed("") is None


@pytest.mark.parametrize(
    ("command", "words", "name"),
    [
        ("etcd", ["etcd", "--name=x"], "etcd"),
        ("kustomize-contr", ["/usr/local/bin/kustomize-controller"], "kustomize-controller"),
        ("kustomize-contr", [""], "kustomize-contr"),
        ("python", ["/v/bin/python", "-P", "-m", "pyinfra", "x.py"], "pyinfra"),
        ("python3", ["python3", "-E", "/srv/hook.py", "-m"], "hook.py"),
        ("python3", ["python3"], "python3"),
        ("sopslab", ["/v/bin/python3", "/v/bin/sopslab", "up"], "sopslab"),
    ],
)
def test_a_component_is_called_as_its_program(command: str, words: list[str], name: str) -> None:
    assert name_of(command, words) == name


V1 = (
    f"9:name=systemd:/docker/{ONE}\n4:memory:/docker/{ONE}/kubelet/pod\n"
    f"3:cpu,cpuacct:/docker/{ONE}/kubelet/pod\n0::/\n"
)
V2 = f"0::/system.slice/docker-{ONE}.scope/kubelet/docker/{OTHER}\n"


def test_the_container_of_a_process_and_its_files_are_found_in_either_cgroup() -> None:
    top = Path("/cg")
    assert container_of(V1) == container_of(V2) == ONE
    assert container_of("0::/user.slice\n") is None
    assert place_of(V1, top) == Place(
        top / f"cpu,cpuacct/docker/{ONE}/cpuacct.usage", top / f"memory/docker/{ONE}/memory.stat"
    )
    whole = top / f"system.slice/docker-{ONE}.scope"
    assert place_of(V2, top) == Place(whole / "cpu.stat", whole / "memory.stat")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("usage_usec 1500000\nuser_usec 1000000\n", 1.5),
        ("2500000000\n", 2.5),
        ("", 0.0),
        ("cat: no such file\n", 0.0),
    ],
)
def test_a_containers_processor_seconds_are_read_from_either_cgroup(
    text: str, seconds: float
) -> None:
    assert usage(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("rss 1\ntotal_rss 2048\n", 2048), ("anon 4096\nfile 7\n", 4096), ("", 0)],
)
def test_a_containers_memory_is_read_from_either_cgroup(text: str, size: int) -> None:
    assert resident(text) == size


class Kernel:
    """A folder that looks like /proc and /sys/fs/cgroup."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.cgroups = folder / "proc", folder / "cgroups"
        self.proc.mkdir()
        (self.proc / "meminfo").write_text("")

    def run(
        self, number: int, parent: int, ticks: int = 0, container: str = "", began: int = 1
    ) -> None:
        """Add a process whose ended children have used as many ticks as the process itself."""
        place = self.proc / str(number)
        place.mkdir(exist_ok=True)
        rest = ["S", parent, *["0"] * 9, ticks, 0, ticks, 0, 0, 0, 0, 0, began, 0, 1]
        (place / "stat").write_text(f"{number} (p{number}) {' '.join(map(str, rest))}\n")
        (place / "cgroup").write_text(f"0::/docker/{container}\n" if container else "0::/\n")
        (place / "cmdline").write_text(f"p{number}\0")

    def uses(self, container: str, seconds: float, memory: int = MIB) -> None:
        place = self.cgroups / "docker" / container
        place.mkdir(parents=True, exist_ok=True)
        (place / "cpu.stat").write_text(f"usage_usec {seconds * 1e6:.0f}\n")
        (place / "memory.stat").write_text(f"anon {memory}\n")

    def machine(self) -> Machine:
        return Machine(100, self.proc, self.cgroups)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def test_what_is_started_is_ours_with_all_below_it_even_where_its_parent_has_gone(
    kernel: Kernel,
) -> None:
    kernel.run(100, 1)
    kernel.run(101, 100, 900)
    machine = kernel.machine()
    kernel.run(200, 100, 100)
    kernel.run(300, 200, 100)
    kernel.run(400, 1, 900)
    before = machine.look()
    assert {one.name for one in before.processes.values()} == {"p200", "p300"}
    kernel.run(300, 1, 200)
    kernel.run(101, 100, 1900)
    after = machine.look()
    assert [one.name for one in after.processes.values()] == ["p200", "p300"]
    assert after.used[OURS] - before.used[OURS] == pytest.approx(2.0)


def test_what_has_ended_and_was_waited_for_counts_on(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = kernel.machine()
    kernel.run(200, 100, 100)
    monkeypatch.setattr("tests.bench.watching.of_children", lambda: 5.0)
    assert machine.look().used[OURS] == pytest.approx(5.0 + 2.0)


def test_a_process_in_a_container_is_its_containers_whoever_started_it(kernel: Kernel) -> None:
    machine = kernel.machine()
    kernel.run(7, 1, 100, container=ONE)
    kernel.uses(ONE, 1.25, 3 * MIB)
    found = machine.look()
    assert {(one.owner, one.processor) for one in found.processes.values()} == {(ONE, 1.0)}
    assert (found.used[ONE], found.memory[ONE]) == (1.25, 3 * MIB)
    assert machine.containers == {ONE}


def test_a_process_that_is_moved_into_a_container_after_it_began_is_noticed(kernel: Kernel) -> None:
    machine = kernel.machine()
    now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 100)
    kernel.run(7, 1, began=now)
    kernel.run(8, 1, began=1)
    assert not machine.look().processes
    kernel.uses(ONE, 1.0)
    kernel.run(7, 1, container=ONE, began=now)
    kernel.run(8, 1, container=ONE)
    # The other process is older, and is not looked at again.
    assert [one.name for one in machine.look().processes.values()] == ["p7"]


def test_a_container_whose_first_process_is_in_some_control_groups_only_is_found_later(
    kernel: Kernel,
) -> None:
    machine = kernel.machine()
    kernel.run(7, 1, container=ONE)
    whole = (kernel.proc / "7" / "cgroup").read_text()
    for half in ("4:memory:/docker/" + ONE + "\n0::/\n", whole):
        (kernel.proc / "7" / "cgroup").write_text(half)
        assert set(machine.look().used) == {OURS}
    assert not machine.containers
    kernel.uses(ONE, 2.0)
    assert machine.look().used[ONE] == 2.0


class Blind(Machine):
    """A machine whose second look fails."""

    looks = 0
    failed = threading.Event()

    @override
    def look(self) -> Look:
        self.looks += 1
        if self.looks == 2:
            self.failed.set()
            raise ValueError("no look")
        return super().look()


def test_what_keeps_it_from_looking_is_not_lost(kernel: Kernel) -> None:
    machine = Blind(100, kernel.proc, kernel.cgroups)
    with pytest.raises(ValueError, match="no look"), watching(machine):
        assert machine.failed.wait(10)


def test_a_number_that_is_given_away_again_is_another_process(kernel: Kernel) -> None:
    machine = kernel.machine()
    kernel.run(200, 100, began=5)
    kernel.run(201, 200, began=6)
    machine.look()
    kernel.run(200, 1, began=900)
    kernel.run(201, 1, began=6)
    assert [one.name for one in machine.look().processes.values()] == ["p201"]


def test_looks_are_taken_before_during_and_after_what_is_watched(kernel: Kernel) -> None:
    machine = kernel.machine()
    with watching(machine) as looks:
        assert wait_until(lambda: len(looks) >= 3, 10, 0.02)
        seen = len(looks)
    assert len(looks) > seen
    assert [one.at for one in looks] == sorted(one.at for one in looks)
