"""A class on disk, as `up` leaves it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sopslab.cards.card import Access, Card, card_of
from sopslab.cli.main import main
from sopslab.config.settings import Seat, Settings
from tests.commands import say_format
from tests.conftest import find_tool

# A password of the present form, and one as older versions made them.
TYPED = "cdfh-jkmn-prtv-wxy3-479c"
OLD = "Kb0-O1lI_passphrase-of-ada"
FINGERPRINT = ":".join(f"{number:02X}" for number in range(0xA0, 0xC0))


def password_of(seat: str) -> str:
    """Return a password that differs for each seat."""
    alphabet = "cdfhjkmnprtvwxy3479"
    digits = hashlib.sha256(seat.encode()).digest()[:20]
    signs = "".join(alphabet[digit % len(alphabet)] for digit in digits)
    return "-".join(signs[at : at + 4] for at in range(0, 20, 4))


@pytest.fixture
def card(lab: Callable[..., Settings]) -> Callable[..., Card]:
    """Return a function that makes a card, with changes to the seat, the login and the rest."""

    def make(
        *,
        username: str = "ada",
        password: str = TYPED,
        ca: str | None = None,
        good_until: str | None = None,
        settings: dict[str, object] | None = None,
        **seat: str,
    ) -> Card:
        person = {"id": "ada", "name": "Ada Lovelace", "email": "ada@example.org", **seat}
        access = Access(username, password)
        return card_of(lab(**(settings or {})), Seat(**person), access, ca, good_until)

    return make


def printed_pages(pdf: bytes) -> list[str]:
    """Return the text of each page of a PDF, as a search or a screen reader finds it."""
    done = subprocess.run(
        [find_tool("pdftotext"), "-layout", "-", "-"], input=pdf, check=True, capture_output=True
    )
    return done.stdout.decode().split("\f")[:-1]


class Class:
    """The folder of a lab with a class in it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = Path(settings.class_dir)
        self.cards = self.folder / "cards"
        self._seats: list[dict[str, str]] = []

    def enrol(self, seat: str, name: str = "Ada Lovelace", group: str = "Table 1") -> None:
        self._seats.append(
            {"id": seat, "name": name, "email": f"{seat}@example.org", "group": group}
        )
        self.record()
        self.write(f"git/credentials/{seat}/username", seat)
        self.write(f"git/credentials/{seat}/password", password_of(seat))
        self.write(f"git/access/{seat}/kubeconfig", "apiVersion: v1\n").chmod(0o640)

    def leave(self, seat: str) -> None:
        self._seats = [known for known in self._seats if known["id"] != seat]
        self.record()

    def record(self) -> None:
        say_format(self.settings)
        self.write("class/roster.json", json.dumps(self._seats))

    def path(self, name: str) -> Path:
        return Path(self.settings.lab_dir) / name

    def write(self, name: str, text: str) -> Path:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def text(self, name: str) -> str:
        """Return the text of a PDF among the cards."""
        return "".join(printed_pages(self.files()[name]))

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.cards.iterdir())}

    def issue_ca(self) -> str:
        """Make a CA and return its fingerprint as OpenSSL prints it."""
        file = self.path("tls/ca.crt")
        file.parent.mkdir(parents=True)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "/dev/null",
             "-subj", "/CN=class", "-out", str(file)],
            check=True, capture_output=True,
        )  # fmt: skip
        printed = subprocess.run(
            ["openssl", "x509", "-in", str(file), "-noout", "-fingerprint", "-sha256"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return printed.stdout.strip().partition("=")[2]


@pytest.fixture
def classroom(lab: Callable[..., Settings]) -> Class:
    return Class(lab())


@pytest.fixture
def cards(
    classroom: Class, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Return a function that runs `sopslab cards` on that class."""
    for name in [name for name in os.environ if name.startswith("SOPSLAB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SOPSLAB_ROOT", classroom.settings.root)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["cards", *arguments])
