"""Which parts of files and Secrets are secret."""

from __future__ import annotations

import base64
import os
import re
import stat
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.support import archive, secrets
from sopslab.lab.support.report import make_report
from sopslab.web.link import Link, doorstep, keep_link, new_token

PEM = b"-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIBf0\nAwEHoUQDQgAE\n-----END EC PRIVATE KEY-----\n"


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


@pytest.mark.parametrize(
    ("name", "content", "values"),
    [
        ("ada.agekey", b"# public key: age1x\nAGE-SECRET-KEY-1ABC\n", [b"AGE-SECRET-KEY-1ABC"]),
        ("ada.pub", b"age1x\n", []),
        ("password", b"open sesame\n", [b"open sesame"]),
        ("username", b"ada\n", []),
        ("ca.key", PEM, [b"MHcCAQEEIBf0", b"AwEHoUQDQgAE"]),
        (
            "kubeconfig",
            f"users:\n- user:\n    client-key-data: {b64(PEM)}\n".encode(),
            [b64(PEM).encode(), b"MHcCAQEEIBf0", b"AwEHoUQDQgAE"],
        ),
        ("kubeconfig", b"    token: not/base64?\n", [b"not/base64?"]),
        ("kubeconfig", b'    token: "a.b-c"\n', [b'"a.b-c"', b"a.b-c"]),
        ("token.json", b'{"user": "ada", "token": "a.b-c"}', [b"a.b-c"]),
    ],
)
def test_values_in_files(name: str, content: bytes, values: list[bytes]) -> None:
    assert secrets.values_in(name, content) == values


def test_what_opens_the_board_is_a_secret_of_the_lab(settings: Settings) -> None:
    token = new_token()
    keep_link(settings, Link(8000, token))
    doorstep(settings, f"http://127.0.0.1:8000/{token}/")

    assert token.encode() in [one.value for one in secrets.on_disk(settings)]


def test_values_of_secrets_in_the_cluster() -> None:
    def secret(kind: str, **data: bytes) -> dict[str, object]:
        coded = {key.replace("_", "-"): b64(value) for key, value in data.items()}
        return {"metadata": {"namespace": "n", "name": "s"}, "type": kind, "data": coded}

    found = secrets.values_of(
        [
            secret("Opaque", username=b"flux", password=b"open sesame"),
            secret("Opaque", key=PEM),
            secret("bootstrap.kubernetes.io/token", expiration=b"soon", token_secret=b"0123456789"),
            {"metadata": {"namespace": "n", "name": "empty"}, "type": "Opaque"},
        ]
    )
    values = [one.value for one in found]
    assert values == [b"open sesame", PEM, b"MHcCAQEEIBf0", b"AwEHoUQDQgAE", b"0123456789"]


def test_a_name_that_a_learner_has_chosen_is_not_told_at_any_length() -> None:
    data = {"k" * 253: b64(b"open sesame")}
    metadata = {"namespace": "ada-develop", "name": "n" * 253}
    (found,) = secrets.values_of([{"metadata": metadata, "type": "Opaque", "data": data}])
    assert found.what == f"{'k' * 48}… of the Secret ada-develop/{'n' * 48}…"


def test_where_a_secret_cannot_be_read_there_is_no_report(
    lab: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lab()
    key = Path(settings.keys_dir, "learner.agekey")
    key.parent.mkdir(parents=True)
    key.write_text("AGE-SECRET-KEY-1ABC\n")
    read = Path.read_bytes

    def denied(path: Path) -> bytes:
        if path == key:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert_refused(settings, tmp_path, "learner.agekey cannot be read (Permission denied)")


def test_where_a_folder_cannot_be_read_there_is_no_report(
    lab: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lab()
    Path(settings.keys_dir).mkdir(parents=True)
    listed = os.scandir

    def denied(path: str) -> object:
        if str(path) == settings.keys_dir:
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert_refused(settings, tmp_path, "/keys cannot be read (Permission denied)")


def assert_refused(settings: Settings, folder: Path, reason: str) -> None:
    """Assert that a report is refused for a reason, and none is made."""
    with pytest.raises(LabError, match=re.escape(reason)):
        make_report(settings, folder / "report.tar.gz", datetime.now(UTC))
    assert not (folder / "report.tar.gz").exists()


def test_a_file_that_is_replaced_meanwhile_does_not_keep_the_report_back(
    lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lab()
    folder = Path(settings.keys_dir)
    folder.mkdir(parents=True)
    new, key = folder / ".learner.agekey.1.new", folder / "learner.agekey"
    new.write_text("AGE-SECRET-KEY-1NEW\n")
    key.write_text("AGE-SECRET-KEY-1OLD\n")
    read = Path.read_bytes

    def late(path: Path) -> bytes:
        if path == new:
            new.rename(key)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", late)
    assert [one.value for one in secrets.on_disk(settings)] == [b"AGE-SECRET-KEY-1NEW"]


def test_no_lab_no_report(lab: Callable[..., Settings], tmp_path: Path) -> None:
    with pytest.raises(LabError, match="there is no lab lab on this machine"):
        make_report(lab(), tmp_path / "report.tar.gz", datetime.now(UTC))


def test_the_file_is_its_owners_alone_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.tar.gz"
    path.write_text("before")
    path.chmod(0o644)
    archive.write(path, archive.pack("lab", {"a/b.txt": b"text"}, 1_800_000_000.0))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as packed:
        (entry,) = packed.getmembers()
        content = packed.extractfile(entry)
        assert content is not None
        assert (entry.name, content.read(), entry.mtime) == ("lab/a/b.txt", b"text", 1_800_000_000)
    assert list(tmp_path.iterdir()) == [path]


def test_where_the_file_cannot_be_written_the_reason_is_said(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"gone/report\.tar\.gz cannot be written: No such file"):
        archive.write(tmp_path / "gone" / "report.tar.gz", b"")
