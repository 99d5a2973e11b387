"""The server's pages below `/~/`: the learner's own page, kubeconfig and CA, and nobody else's."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from sopslab.gitserver import pages
from sopslab.gitserver.pages import PLACE
from sopslab.gitserver.server import Limits
from sopslab.lab.tools.waiting import wait_until
from tests.unit.gitserver.gitserver_material import (
    Client,
    serving,
    write_accounts,
    write_gate,
)

STYLE = "body { color: #111; }"
CA = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"


@pytest.fixture
def root(root: Path) -> Path:
    """A server with pages for ada and bob, and two users without any."""
    write_accounts(root, "ada", "bob", "flux", "instructor")
    write_gate(root, r"printf 'Content-Type: text/plain\r\n\r\nfrom the gate'")
    for seat in ("ada", "bob"):
        folder = root / "access" / seat
        folder.mkdir(parents=True)
        page = f"<style>{STYLE}</style><p>Page of {seat}</p>{PLACE}<p>end</p>"
        (folder / "page.html").write_text(page)
        (folder / "kubeconfig").write_text(f"kubeconfig of {seat}\n")
    (root / "access" / "ca.crt").write_text(CA)
    (root / "rows").mkdir()
    return root


def ask(root: Path, path: str, user: str | None = "ada", method: str = "GET") -> Answer:
    with serving(root) as port:
        return Answer(Client(port, user).begin(method, path).answer())


class Answer:
    """An answer of the server."""

    def __init__(self, said: str) -> None:
        head, _, self.body = said.encode("latin-1").decode("utf-8", "replace").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }


def write_row(root: Path, row: object, seat: str = "ada") -> None:
    text = row if isinstance(row, str) else json.dumps(row)
    (root / "rows" / f"{seat}.json").write_text(text)


def a_step(**changes: Any) -> dict[str, Any]:
    return {"id": "wired", "progress": "no", "found": "", "fix": "", "stuck": False, **changes}


def a_row(**changes: Any) -> dict[str, Any]:
    steps = [
        a_step(id="access", progress="yes"),
        a_step(found="not listed", fix="git push", stuck=True),
        a_step(id="secret", progress="unknown"),
    ]
    row = {"seen": time.time() - 300, "steps": steps, "next": "The file is not listed.",
           "fix": "git push", "asked": None}  # fmt: skip
    return {**row, **changes}


@pytest.mark.parametrize("user", ["ada", "bob"])
def test_everybody_gets_their_own(root: Path, user: str) -> None:
    page = ask(root, "/~/", user)
    assert page.status == 200
    assert f"Page of {user}" in page.body and PLACE not in page.body
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    kubeconfig = ask(root, "/~/kubeconfig", user)
    assert (kubeconfig.status, kubeconfig.body) == (200, f"kubeconfig of {user}\n")
    assert kubeconfig.headers["content-disposition"] == 'attachment; filename="kubeconfig"'


def test_the_address_may_be_typed_without_its_end(root: Path) -> None:
    assert "Page of ada" in ask(root, "/~").body
    assert "Page of ada" in ask(root, "/~/?from=card").body


@pytest.mark.parametrize("path", ["/~/", "/~/kubeconfig", "/~/nothing"])
@pytest.mark.parametrize(("user", "password"), [(None, ""), ("ada", "wrong"), ("eve", "wrong")])
def test_without_the_login_there_is_nothing(
    root: Path, path: str, user: str | None, password: str
) -> None:
    with serving(root) as port:
        answer = Answer(Client(port, user, password).begin("GET", path).answer())
    assert answer.status == 401
    assert "www-authenticate" in answer.headers
    assert "of ada" not in answer.body


@pytest.mark.parametrize("user", ["flux", "instructor"])
@pytest.mark.parametrize("path", ["/~/", "/~/kubeconfig"])
def test_the_labs_own_accounts_get_nothing(root: Path, user: str, path: str) -> None:
    assert ask(root, path, user).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/~/bob/kubeconfig",
        "/~/../bob/kubeconfig",
        "/~/%2e%2e/bob/kubeconfig",
        "/~/kubeconfig/",
        "/~/kubeconfig%00",
        "/~//kubeconfig",
        "/~/./kubeconfig",
        "/~/page.html",
        "/~/rows/bob.json",
        "/~/../../htpasswd",
        "/~/ada/lab.git/info/refs",
    ],
)
def test_there_is_no_other_path(root: Path, path: str) -> None:
    answer = ask(root, path)
    assert answer.status == 404
    assert "of bob" not in answer.body and "$2b$" not in answer.body


@pytest.mark.parametrize("user", ["..", ".", "a/b", "ada/..", "Ada", "~"])
def test_a_user_with_a_name_that_no_seat_has_gets_nothing(root: Path, user: str) -> None:
    write_accounts(root, user)
    (root / "access" / "Ada").mkdir(exist_ok=True)
    (root / "access" / "Ada" / "kubeconfig").write_text("of Ada")
    (root / "kubeconfig").write_text("above")
    assert ask(root, "/~/kubeconfig", user).status == 404


def test_the_ca_is_for_everybody_and_only_it(root: Path) -> None:
    answer = ask(root, "/~/ca.crt", None)
    assert (answer.status, answer.body) == (200, CA)
    assert ask(root, "/~/ca.crt", "eve").body == CA
    (root / "access" / "ca.crt").unlink()
    assert ask(root, "/~/ca.crt", None).status == 404


@pytest.mark.parametrize("path", ["/~/", "/~/kubeconfig", "/~/ca.crt"])
def test_head_tells_the_same_without_the_content(root: Path, path: str) -> None:
    got, asked = ask(root, path), ask(root, path, method="HEAD")
    assert (asked.status, asked.body) == (200, "")
    assert asked.headers == got.headers
    assert int(asked.headers["content-length"]) == len(got.body.encode())


def test_head_gets_no_body_where_it_is_refused_and_no_repository(root: Path) -> None:
    assert (ask(root, "/~/x", method="HEAD").status, ask(root, "/~/x", method="HEAD").body) == (
        404,
        "",
    )
    assert ask(root, "/~/", None, "HEAD").body == ""
    refused = ask(root, "/ada/lab.git/info/refs", method="HEAD")
    assert (refused.status, refused.body) == (405, "")


@pytest.mark.parametrize("path", ["/~/", "/~/kubeconfig", "/~/ca.crt"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_is_taken(root: Path, path: str, method: str) -> None:
    assert ask(root, path, method=method).status == 405


def test_what_is_below_no_tilde_goes_to_the_gate(root: Path) -> None:
    assert "from the gate" in ask(root, "/~ada/lab.git/info/refs").body
    assert "from the gate" in ask(root, "/ada/lab.git/info/refs").body


@pytest.mark.parametrize("name", ["page.html", "kubeconfig"])
def test_no_link_is_followed_and_nothing_but_a_file_is_read(
    root: Path, name: str, tmp_path: Path
) -> None:
    path, request = root / "access" / "ada" / name, "/~/" if name == "page.html" else f"/~/{name}"
    path.unlink()
    path.symlink_to(root / "access" / "bob" / name)
    assert ask(root, request).status == 404
    path.unlink()
    path.mkdir()
    assert ask(root, request).status == 404
    path.rmdir()
    os.mkfifo(path)
    assert ask(root, request).status == 404
    path.unlink()
    path.write_bytes(b"x" * (256 * 1024 + 1))
    assert ask(root, request).status == 404


@pytest.mark.parametrize("path", ["/~/", "/~/kubeconfig", "/~/ca.crt"])
def test_no_answer_is_kept_framed_or_run(root: Path, path: str) -> None:
    headers = ask(root, path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["content-security-policy"]


def test_only_the_style_of_the_page_itself_is_allowed(root: Path) -> None:
    write_row(root, a_row(next="<style>p{}</style>"))
    policy = ask(root, "/~/").headers["content-security-policy"]
    wanted = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    assert f"style-src 'sha256-{wanted}'" in policy
    for part in ("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"):
        assert part in policy


def test_no_user_asks_more_often_at_once_than_the_limit(root: Path) -> None:
    write_gate(root, f"touch {root}/begun; sleep 30")
    with serving(root, Limits(of_a_user=1, waiting=1)) as port:
        first = Client(port).begin("GET", "/ada/lab.git/info/refs")
        assert wait_until((root / "begun").exists, 10, 0.02)
        assert Client(port).begin("GET", "/~/").status() == 503
        assert Client(port, "bob").begin("GET", "/~/").status() == 200
        first.close()


def shown(root: Path, row: object) -> str:
    write_row(root, row)
    return ask(root, "/~/").body


def text(html: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def test_the_page_says_how_far_the_learner_is_and_what_is_next(root: Path) -> None:
    said = text(shown(root, a_row()))
    assert "✓ access done" in said
    assert "✗ wired not done, and something is in the way" in said
    assert "– secret not known" in said
    assert "The file is not listed. git push" in said
    assert "The last change was seen 5 min ago." in said
    assert "asked for help" not in said


def test_a_row_is_its_owners_only(root: Path) -> None:
    write_row(root, a_row(next="of bob alone"), "bob")
    assert "of bob alone" not in ask(root, "/~/").body
    assert "of bob alone" in ask(root, "/~/", "bob").body


def test_who_asks_for_help_sees_it_and_how_it_is_taken_back(root: Path) -> None:
    said = text(shown(root, a_row(asked=time.time() - 7300)))
    assert "You have asked for help (2 h ago). To take that back: git push origin HEAD:help" in said


def test_a_command_of_the_instructors_becomes_a_question_for_help(root: Path) -> None:
    said = text(shown(root, a_row(fix="sopslab up inventories/classroom.py")))
    assert "Your instructor can help with that. To ask for it: git push origin HEAD:help" in said
    assert "inventories" not in said


def test_who_has_asked_already_is_not_told_to_take_that_back(root: Path) -> None:
    said = text(shown(root, a_row(fix="sopslab up", asked=time.time() - 300)))
    assert "Your instructor can help with that. You have asked for help" in said
    assert said.count("git push origin HEAD:help") == 1


def test_who_has_done_everything_is_told_so(root: Path) -> None:
    done = [a_step(id="access", progress="yes")]
    assert "All is done." in shown(root, a_row(steps=done, next="", fix=""))


CLOSED = "shown here while your instructor has the board open"


@pytest.mark.parametrize("row", ["", "null", '{"steps": []}', "\x00"])
def test_what_is_no_row_is_as_if_there_were_none(root: Path, row: str) -> None:
    assert CLOSED in shown(root, row)


def test_without_a_row_the_page_says_when_there_will_be_one(root: Path) -> None:
    answer = ask(root, "/~/")
    assert answer.status == 200
    assert CLOSED in answer.body


def test_a_row_that_is_a_link_is_none(root: Path) -> None:
    write_row(root, a_row(next="of bob alone"), "bob")
    (root / "rows" / "ada.json").symlink_to(root / "rows" / "bob.json")
    assert CLOSED in ask(root, "/~/").body


HOSTILE = [
    "<script>alert(1)</script>",
    "</p></main><img src=x onerror=alert(1)>",
    '" onclick="alert(1)',
    PLACE,
    "&lt;b&gt;",
    "</style><style>*{}",
]


class Elements(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.texts: list[str] = []
        self.feed(html)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))

    @override
    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_a_row_says_is_text(root: Path, hostile: str) -> None:
    def with_text(one: str) -> dict[str, Any]:
        return a_row(next=one, fix=f"git {one}", steps=[a_step(id=one)])

    plain = Elements(shown(root, with_text("plain")))
    found = Elements(shown(root, with_text(hostile)))
    assert found.found == plain.found
    assert found.texts.count(hostile) == 2
    assert f"git {hostile}" in found.texts


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "less than a minute ago"), (59, "less than a minute ago"), (60, "1 min ago"),
     (7199, "119 min ago"), (7200, "2 h ago"), (-1, "")],
)  # fmt: skip
def test_times_are_told_as_people_do(seconds: int, said: str) -> None:
    assert pages._ago(1_000_000 - seconds, 1_000_000) == said
