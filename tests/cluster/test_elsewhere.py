"""A lab on a root of its own, whose path is not plain, made by a user without a home."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.host import LIMITS
from tests.cluster.lab import Lab, as_root, lab_name, run

# These tests lower a limit of the machine, which any other lab would raise again.
pytestmark = [pytest.mark.exclusive, pytest.mark.soak]

WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
NEEDED = LIMITS["fs.inotify.max_user_watches"]


@pytest.fixture
def low_limit() -> Iterator[int]:
    """A kernel limit one below what a lab needs; put back afterwards."""
    before = WATCHES.read_text()
    low = NEEDED - 1
    run(as_root("tee", str(WATCHES)), stdin=str(low))
    yield low
    run(as_root("tee", str(WATCHES)), stdin=before)


@pytest.fixture(scope="module")
def elsewhere(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The lab. Its store is hard links to the machine's store, so that nothing is built again.

    The other lab, which is up, has raised the machine's limits already.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    plain = Path(lab.settings.root)
    root = another_root(plain, folder / "Wurzel für 李雷 & Söhne")
    elsewhere = Lab(lab_name("elsewhere"), folder, {}, root=str(root))
    elsewhere.remove()
    try:
        elsewhere.birth = {"answer": elsewhere.up(HOME=None, umask=0), "plain": plain}
        yield elsewhere
    finally:
        elsewhere.remove()


def another_root(plain: Path, root: Path) -> Path:
    """Make a root with the same tools, by hard links, and return it."""
    root.mkdir(parents=True)
    for name in ("store", "bin", "source"):
        run(["cp", "-al", str(plain / name), str(root / name)])
    return root


def test_it_comes_up_without_a_home_under_an_open_umask(elsewhere: Lab, tmp_path: Path) -> None:
    assert elsewhere.birth["answer"]["changed"] > 0
    expected, live = elsewhere.canary_digests(tmp_path)
    assert live == expected
    answer = elsewhere.up(HOME=None, umask=0)
    assert (answer["changed"], elsewhere.changes(answer)) == (0, [])


def test_what_is_private_is_private_under_an_open_umask(elsewhere: Lab) -> None:
    top = Path(elsewhere.settings.lab_dir)
    kinds = (
        [top / "kubeconfig"],
        [*(top / "keys").glob("*.agekey")],
        [*(top / "git" / "credentials").glob("*/*")],
        [*(top / "log").iterdir()],
    )
    assert all(kinds)
    private = [path for kind in kinds for path in kind]
    modes = {str(path): stat.S_IMODE(path.stat().st_mode) for path in private}
    assert [path for path, mode in modes.items() if mode != 0o600] == []
    # The Git server reads these files by its group.
    for path in (top / "git" / "htpasswd", top / "git" / "receiver" / "token"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640, path
    for folder in (top, top / "keys", top / "log", top / "git" / "credentials"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder


def test_a_lab_moves_with_its_keys_and_its_repositories(elsewhere: Lab, tmp_path: Path) -> None:
    head, recipient = elsewhere.push_notes(tmp_path), elsewhere.recipient()
    elsewhere.sopslab("down")

    root = another_root(elsewhere.birth["plain"], tmp_path / "root")
    moved = Lab(elsewhere.name, tmp_path / "moved", {}, root=str(root))
    try:
        for name in ("keys", "git"):
            target = Path(moved.settings.lab_dir) / name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            run(["cp", "-a", f"{elsewhere.settings.lab_dir}/{name}", str(target)])
        moved.up()
        assert (moved.head(), moved.recipient()) == (head, recipient)
        expected, live = moved.canary_digests(tmp_path)
        assert live == expected
        assert moved.up()["changed"] == 0
    finally:
        moved.remove()
        elsewhere.up()


def test_a_tool_of_the_wrong_version_in_the_store_is_replaced(elsewhere: Lab) -> None:
    (tool,) = Path(elsewhere.settings.store).glob("age-*/bin/age")
    original = elsewhere.birth["plain"] / "store" / tool.relative_to(elsewhere.settings.store)
    right = hashlib.sha256(original.read_bytes()).hexdigest()
    # Replace it by a rename: by a hard link, the file is also in the machine's own store.
    wrong = tool.with_name("wrong")
    wrong.write_text("#!/bin/sh\necho v1.0.0\n")
    wrong.chmod(0o755)
    wrong.replace(tool)
    answer = elsewhere.up()
    changes = elsewhere.changes(answer)
    assert (
        f"{tool.relative_to(elsewhere.settings.store)} is not what its manifest says" in changes[0]
    )
    assert "Build age" in changes[0]
    # Apart from that, only what the build leaves behind is removed.
    assert [change.split(": ")[1] for change in changes[1:]] == ["Remove the build caches"]
    version = tool.parents[1].name.removeprefix("age-")
    assert elsewhere.run("age", "--version").stdout.strip() == f"v{version}"
    assert hashlib.sha256(tool.read_bytes()).hexdigest() == right
    assert hashlib.sha256(original.read_bytes()).hexdigest() == right


def test_a_tool_that_cannot_be_run_is_replaced_and_a_wrong_link_too(elsewhere: Lab) -> None:
    link = Path(elsewhere.settings.bin_dir) / "sops"
    target = link.readlink()
    link.unlink()
    link.symlink_to("/usr/bin/true")
    changes = elsewhere.changes(elsewhere.up())
    assert [change.split(": ")[1:] for change in changes] == [
        ["Link the tools", "bin/sops led to /usr/bin/true"]
    ]
    assert link.readlink() == target


def test_purge_asks_first(elsewhere: Lab) -> None:
    done = elsewhere.sopslab("down", "--purge", check=False)
    assert done.returncode == 1 and "Go on?" in done.stderr
    assert Path(elsewhere.settings.keys_dir).is_dir()
    running = run(["docker", "ps", "--format", "{{.Names}}"]).stdout.split()
    assert elsewhere.node in running


def test_purge_leaves_of_the_root_what_a_limit_was_and_everything_of_others(
    elsewhere: Lab, lab: Lab, low_limit: int
) -> None:
    root = Path(elsewhere.settings.root)
    changes = elsewhere.changes(elsewhere.up())
    assert [change.split(": ")[1:] for change in changes] == [
        ["Raise fs.inotify.max_user_watches", f"fs.inotify.max_user_watches was {low_limit}"]
    ]
    assert int(WATCHES.read_text()) == NEEDED
    before = {
        path: path.stat().st_mtime_ns for path in Path(lab.settings.store).glob("*/manifest.json")
    }
    assert before
    answer = json.loads(elsewhere.sopslab("down", "--purge", "--yes", "--json").stdout)
    assert answer["ok"]
    # The other lab still needs the limit. What it was, a later `down` of this root has to know.
    (record,) = (path for path in root.rglob("*") if not path.is_dir())
    assert int(record.read_text()) == low_limit
    assert int(WATCHES.read_text()) == NEEDED
    assert {path: path.stat().st_mtime_ns for path in before} == before
    listing = run(["docker", "ps", "--all", "--format", "{{.Names}} {{.Image}}"]).stdout
    assert elsewhere.name not in listing
    # The images that the other lab runs on are still there, by their names.
    for container in (lab.node, lab.git_server):
        image = run(["docker", "inspect", "--format", "{{.Config.Image}}", container]).stdout
        run(["docker", "image", "inspect", image.strip()])
    answer = lab.up()
    assert (answer["changed"], lab.changes(answer)) == (0, [])
