"""The lab of the cluster tests: it works beside whatever runs on this machine, and is removed at
the end."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sopslab.layout import KUSTOMIZATION
from tests.cluster.classroom import Classroom
from tests.cluster.hand_made import lab_on_three_nodes
from tests.cluster.lab import PREFIX, Lab, lab_name, secrets_of
from tests.cluster.watching import CommandLines, foreign_kubeconfigs, normal_state

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


def pytest_configure(config: pytest.Config) -> None:
    # It would override the setting by which a clone trusts a lab's CA.
    os.environ.pop("GIT_SSL_CAINFO", None)
    for marker in (
        "restores: the test itself leaves the lab `lab` as it found it",
        "every_provider: works on the class on kind, and in `make clusters` on one on three nodes",
        "hand_made: works on a cluster that is made by hand; run by `make clusters`",
        "in_class: works on the class that is up; told by its fixtures",
        "on_own: works on no lab but those that it makes; told by its fixtures",
        "exclusive: changes what all labs of the machine share, or compares times",
        "campaign: does to a class whatever may happen to one, for half an hour",
        "machines: makes machines in containers, and their labs",
    ):
        config.addinivalue_line("markers", marker)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose who provides the cluster of the class that a test works on."""
    if "provider" in metafunc.fixturenames:
        providers = [pytest.param("kind", id=pytest.HIDDEN_PARAM)]
        if metafunc.definition.get_closest_marker("every_provider"):
            by_hand = (pytest.mark.soak, pytest.mark.hand_made)
            providers.append(pytest.param("existing", marks=by_hand))
        metafunc.parametrize("provider", providers, indirect=True, scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark on which lab each test works: two processes share the tests by these marks."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "classroom" in fixtures:
            item.add_marker(pytest.mark.in_class)
        elif "lab" not in fixtures:
            item.add_marker(pytest.mark.on_own)


@pytest.fixture(scope="session", autouse=True)
def _alone() -> Iterator[None]:
    """Allow one run with the same prefix at a time: labs, networks and rules have fixed names."""
    path = Path(tempfile.gettempdir()) / f"sops-lab-cluster-tests-{PREFIX}.lock"
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.exit("another run of the cluster tests is at work: wait for it", returncode=3)
        yield


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that is up. Whatever a test breaks, the next test finds it whole again."""
    lab = Lab(lab_name("test"), tmp_path_factory.mktemp("lab"), {})
    lab.remove()
    try:
        watch_birth(lab)
        yield lab
    finally:
        lab.remove()


@pytest.fixture(scope="session")
def provider(request: pytest.FixtureRequest) -> str:
    """Who provides the cluster of the class: `kind` or `existing`."""
    return str(request.param)


@pytest.fixture(scope="session")
def classroom(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classroom]:
    """A class that is up. A test leaves it as it found it."""
    folder = tmp_path_factory.mktemp("class")
    with ExitStack() as stack:
        if provider == "kind":
            lab = Lab(lab_name("class"), folder, {})
            lab.remove()
            stack.callback(lab.remove)
        else:
            lab = stack.enter_context(lab_on_three_nodes(lab_name("nodes"), folder))
        classroom = Classroom(lab)
        classroom.up()
        yield classroom


@pytest.fixture
def put_back(lab: Lab, request: pytest.FixtureRequest) -> Iterator[None]:
    """Put the learner's repository back afterwards, and have Flux follow it."""
    head = lab.head()
    yield
    try:
        lab.reset_repository(head)
        lab.run(
            "flux", "-n", "flux-system", "reconcile", "kustomization", KUSTOMIZATION,
            "--with-source", "--timeout", "60s",
        )  # fmt: skip
        assert lab.flux_applied(head)
    except Exception:
        # The report of this is made only after `_whole_again` has decided.
        request.node.stash[_FAILED] = True
        raise


def watch_birth(lab: Lab) -> None:
    """Make the lab from nothing, and keep what only this first run can show."""
    home = lab.folder / "home"
    files = foreign_kubeconfigs(home)
    with CommandLines() as seen:
        answer = lab.up(
            HOME=str(home), KUBECONFIG=str(home / "production"), SOPSLAB_ROOT=lab.settings.root
        )
    lab.birth = {
        "answer": answer,
        "command_lines": seen.lines,
        "kubeconfigs": files,
        "secrets": secrets_of(lab),
        "state": normal_state(lab),
    }


@pytest.fixture(autouse=True)
def _whole_again(request: pytest.FixtureRequest) -> Iterator[None]:
    if "lab" not in request.fixturenames:
        yield
        return
    lab: Lab = request.getfixturevalue("lab")
    head = lab.head()
    yield
    if request.node.get_closest_marker("restores") and not request.node.stash.get(_FAILED, False):
        return
    lab.reset_repository(head)
    lab.up()
