"""A lab on a Git server that is not ours: it has one password, and none of our hooks."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from sopslab.artifacts.catalog import load_catalog
from sopslab.errors import Exit
from tests.cluster.git_elsewhere import PASSWORD, USER, git_server
from tests.cluster.lab import Lab, lab_name, run, wait_until
from tests.cluster.learner import FILE, Learner
from tests.cluster.test_rotate import assert_whole, rotate
from tests.cluster.watching import CommandLines

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("other-git")
    image = load_catalog(Lab(lab_name("foreign"), folder, {}).settings.catalog).git_tag
    with git_server(folder / "server", image) as url:
        data = {"git_url": url, "git_username": USER, "git_password": PASSWORD}
        lab = Lab(lab_name("foreign"), folder / "lab", data)
        lab.file.chmod(0o600)
        with lab.made():
            yield lab


def main(lab: Lab) -> str:
    """Return the commit of main on that server."""
    url = f"{lab.settings.git_url}/{lab.settings.learner_repository}.git"
    account = lab.settings.account_dir("learner")
    helper = f"credential.helper=store --file='{account}/git-credentials'"
    listed = run(["git", "-c", helper, "ls-remote", url, "refs/heads/main"]).stdout
    return listed.split("\t")[0]


def clone(lab: Lab, folder: Path) -> Path:
    """Return a fresh clone with the learner's login and name."""
    target = lab.learner(folder)
    assert (target / "lab.md").is_file()
    return target


def test_it_is_up_and_a_second_run_changes_nothing(foreign: Lab, tmp_path: Path) -> None:
    expected, live = foreign.canary_digests(tmp_path)
    assert live == expected
    assert foreign.up()["changed"] == 0
    assert not run(["docker", "ps", "-aq", "--filter", f"name=^{foreign.git_server}$"]).stdout


def test_the_chapter_works_and_a_reset_keeps_what_was_pushed(foreign: Lab, tmp_path: Path) -> None:
    begun = main(foreign)
    learner = Learner(foreign, clone(foreign, tmp_path))
    learner.finish()
    done = main(foreign)
    assert done != begun

    answer = foreign.sopslab("reset", "--json")
    assert "saved/" in answer.stdout
    assert main(foreign) == begun
    run(["git", "fetch", "--quiet", "origin"], cwd=learner.work)
    kept = run(["git", "branch", "--remotes", "--contains", done], cwd=learner.work).stdout
    assert "origin/saved/" in kept
    wait_until(
        lambda: "backend-secrets" not in foreign.kubectl("-n", "develop", "get", "secrets"),
        "Flux takes away what is not in Git any more",
    )
    assert foreign.up()["changed"] == 0

    foreign.sopslab("reset", "--to", "done", "--json")
    run(["git", "fetch", "--quiet", "origin"], cwd=learner.work)
    run(["git", "cat-file", "-e", f"origin/main:{FILE}"], cwd=learner.work)
    assert "backend-secrets" in foreign.kubectl("-n", "develop", "get", "secrets")


def test_a_key_that_leaked_is_replaced_there(foreign: Lab) -> None:
    foreign.sopslab("reset", "--to", "done", "--json")
    old, before = foreign.recipient(), main(foreign)
    rotate(foreign, "learner-key")
    assert foreign.recipient() not in ("", old)
    assert foreign.cluster_recipient() == foreign.recipient()
    work = Path(foreign.settings.work_dir)
    assert run(["git", "rev-parse", "HEAD"], cwd=work).stdout.strip() == main(foreign) != before
    assert old not in (work / FILE).read_text()
    assert_whole(foreign)


def test_a_password_that_is_not_ours_is_not_replaced(foreign: Lab) -> None:
    answer = rotate(foreign, "git-credential", check=False)
    assert answer["code"] == Exit.INPUT
    assert "are not the lab's" in "\n".join(answer["problems"])


def test_the_password_is_in_no_argument_and_no_log(foreign: Lab) -> None:
    with CommandLines() as seen:
        foreign.up()
        foreign.sopslab("reset", "--json")
    # The watch must have seen the runs, or the test would prove nothing.
    assert seen.contain("sopslab.run.start")
    places = {
        path.name: path.read_bytes() for path in Path(foreign.settings.lab_dir, "log").iterdir()
    }
    assert places
    places["arguments"] = b"\n".join(seen.lines)
    dresses = (
        PASSWORD.encode(),
        quote(PASSWORD, safe="").encode(),
        base64.b64encode(PASSWORD.encode()),
        base64.b64encode(f"{USER}:{PASSWORD}".encode()),
    )
    assert [place for place, text in places.items() if any(one in text for one in dresses)] == []
