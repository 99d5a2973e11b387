"""A finding says where and what, and never more than may be shown."""

from __future__ import annotations

import pytest

from sopslab.policy.findings import FIXES, Finding, Hit, Report, key_path


def test_a_hit_becomes_a_finding_with_what_to_do_about_it() -> None:
    for rule, fix in FIXES.items():
        assert Hit(3, rule, "what").at("a.yaml", "c" * 40) == Finding(
            "a.yaml", 3, rule, "what", fix, "c" * 40
        )


def test_advice_that_needs_the_private_key_is_never_the_only_one() -> None:
    fixes = [fix for fix in FIXES.values() if "updatekeys" in fix]
    assert [fix for fix in fixes if not fix.endswith("or encrypt it again")] == []
    assert len(fixes) == 2


def test_what_gitleaks_found_counts_as_leaked() -> None:
    found = Hit(1, "gitleaks:github-pat", "what").at("a.yaml", "")
    assert (found.rule, found.fix) == ("gitleaks:github-pat", FIXES["key-age"])


def test_a_rule_of_ours_that_nobody_knows_is_no_finding() -> None:
    with pytest.raises(KeyError):
        Hit(1, "no-such-rule", "what").at("a.yaml", "")


@pytest.mark.parametrize(
    ("findings", "undecided", "code"), [(0, 0, 0), (1, 0, 1), (0, 1, 2), (1, 1, 2)]
)
def test_what_is_undecided_outweighs_what_is_found(
    findings: int, undecided: int, code: int
) -> None:
    found = Hit(1, "password", "what").at("a.yaml", "")
    assert Report([found] * findings, ["why"] * undecided).exit_code == code


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        (("data", "TOKEN"), "data.TOKEN"),
        (("data", "tls.crt", "a-b_c"), "data.tls.crt.a-b_c"),
        (("data", "password:value"), "data.…"),
        (("", "x"), "….x"),
        (("k" * 39,), "k" * 39),
        (("k" * 40,), "…"),
        ((), ""),
    ],
)
def test_a_key_is_shown_where_it_has_the_form_of_one(keys: tuple[str, ...], shown: str) -> None:
    assert key_path(*keys) == shown
