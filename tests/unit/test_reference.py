"""docs/reference is what the code says about itself: the test names a page that is stale."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from sopslab.cli import reference
from sopslab.cli.main import VERBS
from sopslab.config.settings import Settings
from sopslab.policy import findings


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return reference.rendered()


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_page_is_what_the_code_says(name: str, pages: dict[str, str]) -> None:
    page = reference.FOLDER / name
    there = page.read_text() if page.exists() else ""
    changes = difflib.unified_diff(
        there.splitlines(), pages[name].splitlines(), "there", "wanted", n=0, lineterm=""
    )
    if there != pages[name]:
        pytest.fail("\n".join([f"{page} is stale: run `make reference`", *changes]), pytrace=False)


def test_no_other_page_is_there() -> None:
    assert {path.name for path in reference.FOLDER.iterdir()} == set(reference.PAGES)


def test_every_verb_and_setting_is_told(pages: dict[str, str]) -> None:
    told = pages["settings.md"]
    assert [name for name in Settings.model_fields if f"| `{name}` | " not in told] == []
    assert "|  |" not in told.partition("\n## ")[0]
    assert [verb for verb in VERBS if f"\n### {verb}\n" not in pages["verbs.md"]] == []


def test_the_pages_are_the_same_whoever_makes_them(
    pages: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_DATA_HOME", "SOPSLAB_ROOT", "SOPSLAB_LAB", "SOPSLAB_GIT_PASSWORD"):
        monkeypatch.setenv(name, "/srv/elsewhere")
    monkeypatch.setenv("COLUMNS", "40")
    assert reference.rendered() == pages
    assert "`~/.local/share/sops-lab`, or `SOPSLAB_ROOT`" in pages["settings.md"]


def test_what_is_stale_is_written_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference.write(tmp_path)
    assert len(capsys.readouterr().out.splitlines()) == len(reference.PAGES)
    monkeypatch.setitem(findings.FIXES, "a-new-rule", "use `_a_|_b_`, not <c> or $d*")
    reference.write(tmp_path)
    assert capsys.readouterr().out == f"{tmp_path / 'rules.md'} is made anew\n"
    row = r"| `a-new-rule` | use `_a_\|_b_`, not \<c> or \$d\* |"
    assert row in (tmp_path / "rules.md").read_text().splitlines()
