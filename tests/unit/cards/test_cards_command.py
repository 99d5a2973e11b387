"""`sopslab cards`: whole runs on a class on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from sopslab.cards import printing
from sopslab.cards.pdf import NoPdf
from tests.processes import holding

from .conftest import Class, password_of, printed_pages

Cards = Callable[..., Result]


@pytest.fixture
def full(classroom: Class) -> Class:
    for seat, name in (("ada", "Ada Lovelace"), ("zoe", "Zoë <b>"), ("lei", "李雷")):
        classroom.enrol(seat, name)
    return classroom


def test_everybody_gets_a_page_and_the_class_one_file(full: Class, cards: Cards) -> None:
    done = cards()
    assert (done.exit_code, done.stderr) == (0, "")
    assert list(full.files()) == [
        "ada.html", "ada.pdf", "all.html", "all.pdf", "lei.html", "lei.pdf", "zoe.html", "zoe.pdf",
    ]  # fmt: skip
    assert [pages(full, name) for name in ("ada", "all")] == [1, 3]
    for seat in ("ada", "zoe", "lei"):
        assert password_of(seat) in full.files()[f"{seat}.html"].decode()
        assert password_of(seat) in full.text(f"{seat}.pdf")
        assert password_of(seat) in full.text("all.pdf")


def pages(classroom: Class, name: str) -> int:
    return len(printed_pages(classroom.files()[f"{name}.pdf"]))


def test_two_to_a_sheet_are_asked_for_of_the_whole_class(full: Class, cards: Cards) -> None:
    cards()
    before = full.files()
    done = json.loads(cards("--two-up", "--json").stdout)
    assert done["changed"] == 2
    assert [pages(full, name) for name in ("ada", "all")] == [1, 2]
    assert {name for name in before if full.files()[name] != before[name]} == {
        "all.html", "all.pdf",
    }  # fmt: skip
    assert "(0 changes)" in cards("--two-up").stdout


def test_where_no_pdf_can_be_made_the_pages_are_there_and_it_is_said_why(
    full: Class, cards: Cards, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards("ada")

    def missing(_page: str) -> bytes:
        raise NoPdf("no PDF was made: install it")

    monkeypatch.setattr(printing, "pdf", missing)
    full.write("git/credentials/ada/password", password_of("another"))
    done = cards()
    assert done.exit_code == 0
    assert done.stderr == "no PDF was made: install it\n"
    assert list(full.files()) == ["ada.html", "all.html", "lei.html", "zoe.html"]
    said = json.loads(cards("--json").stdout)
    assert (said["ok"], said["changed"]) == (True, 0)
    assert said["no_pdf"] == "no PDF was made: install it"
    assert {one["pdf"] for one in (said["all"], *said["cards"])} == {None}


def test_a_card_holds_no_other_learners_password(full: Class, cards: Cards) -> None:
    cards()
    assert password_of("zoe") not in full.files()["ada.html"].decode()
    assert password_of("zoe") not in full.text("ada.pdf")


def test_the_output_says_where_and_warns_and_holds_no_password(full: Class, cards: Cards) -> None:
    ca = full.issue_ca()
    done = cards()
    assert str(full.cards) in done.stdout
    assert "hold passwords" in done.stdout
    # Nothing else has to be handed out with the cards.
    assert "kubeconfig" not in done.stdout
    assert "ca.crt" not in done.stdout
    assert password_of("ada") not in done.output
    assert password_of("ada") not in cards("--json").output
    assert ca in full.files()["ada.html"].decode().replace("<br>", "")


def test_a_second_run_changes_nothing(full: Class, cards: Cards) -> None:
    cards()
    before = {path: path.stat() for path in Path(full.settings.lab_dir).rglob("*")}
    done = cards()
    assert "(0 changes)" in done.stdout
    changed = [
        path.name
        for path, stat in before.items()
        if path.name != "lock" and path.stat().st_mtime_ns != stat.st_mtime_ns
    ]
    assert changed == []


def test_a_password_that_was_issued_anew_reaches_only_that_card(full: Class, cards: Cards) -> None:
    cards()
    before = full.files()
    full.write("git/credentials/ada/password", password_of("another"))
    done = json.loads(cards("--json").stdout)
    after = full.files()
    assert done["changed"] == 4
    assert {name for name in after if after[name] != before[name]} == {
        "ada.html", "ada.pdf", "all.html", "all.pdf",
    }  # fmt: skip
    assert password_of("another") in full.text("ada.pdf")


def test_for_one_learner_only_their_pages_and_the_whole_class_are_made(
    full: Class, cards: Cards
) -> None:
    assert cards("ada", "ada").exit_code == 0
    assert list(full.files()) == ["ada.html", "ada.pdf", "all.html", "all.pdf"]
    assert pages(full, "all") == 3


def test_one_learners_pages_are_the_same_whoever_else_was_asked_for(
    full: Class, cards: Cards
) -> None:
    cards("lei")
    alone = full.files()
    cards()
    assert {name: full.files()[name] for name in alone} == alone


def test_json_has_the_paths(full: Class, cards: Cards) -> None:
    done = cards("--json", "ada")
    assert json.loads(done.stdout) == {
        "ok": True,
        "changed": 4,
        "folder": str(full.cards),
        "all": {"html": str(full.cards / "all.html"), "pdf": str(full.cards / "all.pdf")},
        "cards": [
            {
                "id": "ada",
                "html": str(full.cards / "ada.html"),
                "pdf": str(full.cards / "ada.pdf"),
            }
        ],
        "no_pdf": "",
        "problems": [],
    }


def test_those_who_left_lose_their_card(full: Class, cards: Cards) -> None:
    cards()
    full.leave("zoe")
    done = cards()
    assert not [name for name in full.files() if "zoe" in name]
    assert pages(full, "all") == 2
    assert "(4 changes)" in done.stdout


def test_a_lab_without_a_class_is_bad_input(classroom: Class, cards: Cards) -> None:
    done = cards("--json")
    assert done.exit_code == 2
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem == (
        "the lab lab has no class: enrol one with `sopslab up inventories/classroom.py`"
    )
    assert not Path(classroom.settings.root).exists()


def test_all_unknown_ids_are_named_at_once_and_nothing_is_made(full: Class, cards: Cards) -> None:
    done = cards("eve", "ada", "mallory", "eve", "../ada")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [
        "'eve'", "'mallory'", "'../ada'",
    ]  # fmt: skip
    assert not full.cards.exists()


def test_all_that_is_missing_is_named_at_once_and_the_others_get_their_cards(
    full: Class, cards: Cards
) -> None:
    full.path("git/credentials/ada/password").unlink()
    full.path("git/access/ada/kubeconfig").unlink()
    full.write("git/credentials/zoe/password", "\n")
    done = cards()
    assert done.exit_code == 1
    problems = done.stderr.splitlines()
    assert [problem.partition(":")[0] for problem in problems] == ["ada", "ada", "zoe"]
    assert "/credentials/ada/password is missing" in problems[0]
    assert "the Git server does not hand out its kubeconfig" in problems[1]
    assert "/credentials/zoe/password is empty" in problems[2]
    assert list(full.files()) == ["all.html", "all.pdf", "lei.html", "lei.pdf"]
    assert pages(full, "all") == 1


def test_what_another_learner_lacks_is_no_failure_of_the_one_asked_for(
    full: Class, cards: Cards
) -> None:
    full.path("git/credentials/ada/password").unlink()
    assert cards("zoe").exit_code == 0
    done = cards("ada", "--json")
    assert done.exit_code == 1
    assert len(json.loads(done.stdout)["problems"]) == 1


def test_a_seat_cannot_take_the_name_of_the_classs_own_file(full: Class, cards: Cards) -> None:
    full.enrol("all", "Al L.")
    done = cards()
    assert done.exit_code == 1
    assert done.stderr.startswith("all: the sheet of the whole class has this name")
    assert pages(full, "all") == 3


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("{", "it is not JSON"),
        ('[{"id": "ada"}]', "0.name: Field required"),
        ('[{"id": "Ada!", "name": "A", "email": "a@example.org"}]', "0.id"),
        ('"ada"', "the list"),
    ],
)
def test_a_damaged_roster_is_named(full: Class, cards: Cards, damage: str, said: str) -> None:
    full.write("class/roster.json", damage)
    done = cards()
    assert done.exit_code == 1
    assert "roster.json cannot be read" in done.stderr
    assert said in done.stderr
    assert not full.cards.exists()


def test_a_damaged_ca_stops_every_card(full: Class, cards: Cards) -> None:
    full.write("tls/ca.crt", "no certificate")
    done = cards()
    assert done.exit_code == 1
    assert "tls/ca.crt cannot be read (exactly one certificate in PEM is needed)" in done.stderr
    assert not full.cards.exists()


def test_while_another_run_is_at_work_no_card_is_made(full: Class, cards: Cards) -> None:
    with holding(full.path("lock")) as holder:
        done = cards()
    assert done.exit_code == 3
    assert f"process {holder.pid}" in done.stderr
    assert not full.cards.exists()
