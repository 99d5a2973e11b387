"""Secrets in invalid YAML are found by their indentation, and templates are no values."""

from __future__ import annotations

import pytest

from sopslab.policy import templates
from tests.unit.policy.policy_material import encrypted_value
from tests.unit.policy.policy_places import told

ENCRYPTED = encrypted_value()


def found(text: str, **how: bool) -> list[tuple[int, str]]:
    hits = told(templates.plaintext_secrets(text, **how))
    assert all(rule == "secret-plaintext" for _, rule, _ in hits)
    return [(line, name) for line, _, name in hits]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("kind: Secret", True),
        ("kind: SecretList", True),
        ("KIND: secret", True),
        ('"kind" : "Secret",', True),
        ("'kind': !!str &a 'Secret' # x", True),
        ("{kind: Secret}", True),
        ("kind: ConfigMap", False),
        ("kind: SecretStore", False),
        ("kind: Secret-a", False),
        ("- Secret", False),
    ],
)
def test_only_a_secret_has_values(kind: str, expected: bool) -> None:
    text = f"x\n{kind}\ndata:\n  a: hunter2\n"
    assert found(text) == ([(4, "data.a")] if expected else [])


@pytest.mark.parametrize("between", ["---", "  --- # x", "EOF", " EOT", "---\nx\n---"])
def test_a_kind_counts_up_to_the_next_document(between: str) -> None:
    plain, secret = "data:\n  a: hunter2\n", "kind: Secret\ndata:\n  b: hunter2\n"
    line = 3 + between.count("\n") + 2 + 1
    assert found(f"{plain}{between}\n{secret}") == [(line, "data.b")]
    assert found(f"{secret}{between}\n{plain}") == [(3, "data.b")]
    assert found(f"{secret}{between}\n{secret}") == [(3, "data.b"), (line + 1, "data.b")]


def test_a_value_is_found_where_lines_have_other_ends() -> None:
    assert found("kind: Secret\x0cdata:\x0c  a: hunter2") == [(3, "data.a")]


@pytest.mark.parametrize("between", ["----", "-- -", "EOFX", "x ---"])
def test_other_lines_end_no_document(between: str) -> None:
    assert found(f"data:\n  a: hunter2\n{between}\nkind: Secret\n") == [(2, "data.a")]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("data:\n  a: hunter2\n", [(2, "data.a")]),
        ("data:\n  b: x\n\n  # y: z\n  c: v", [(2, "data.b"), (5, "data.c")]),
        ("stringData:\n  a: hunter2\n", [(2, "stringData.a")]),
        ("'STRINGDATA' : # x\n  a: hunter2\n", [(2, "STRINGDATA.a")]),
        ("data: &a !!map\n  a: hunter2\n", [(2, "data.a")]),
        ("data: |\n  a: hunter2\n", [(2, "data.a")]),
        ("- data:\n    a: hunter2\n", [(2, "data.a")]),
        ("- data:\n  a: hunter2\n", []),
        ("  data:\n  a: hunter2\n", []),
        ("  data:\n a: hunter2\n", []),
        ("  data:\n    a: hunter2\n  type: b\n    c: d\n", [(2, "data.a")]),
        ("data:\n\ta: hunter2\n", [(2, "data.a")]),
        ("metadata:\n  a: hunter2\n", []),
        ("data: x\n  a: hunter2\n", []),
        ("data:\n  a: ''\n  b: null\n  c: ~\n  d: {}\n  e: []\n  f:\n  g: |\n", []),
        ("data:\n  a: '' # x\n", []),
        (f"data:\n  a: {ENCRYPTED}\n  b: '{ENCRYPTED}'\n  c: \"{ENCRYPTED}\",\n", []),
        ("data:\n  a: {{ .b }}\n  c: ${D}\n  e: $(F)\n  g: <h>\n  i: $J_K\n", []),
        ("data:\n  {{- if a }}\n  b: c\n  {%- endif %}\n", [(3, "data.b")]),
        ("data:\n{{- if a }}\n{%- endif %}\n  d: {% if x %}e{% endif %}", [(4, "data.d")]),
        ("data:\n  b: {% if x %}{% endif %}\n", []),
        ("data:\n  'a.b/c' : hunter2\n", [(2, "data.…")]),
        ("data:\n  'a.b-c' : hunter2\n", [(2, "data.a.b-c")]),
        ("data:\n  \"a\": \"hunter2\",\n", [(2, "data.a")]),
        ("data:\n  a:hunter2\n  b c: d\n  - e\n", []),
    ],
)  # fmt: skip
def test_the_entries_of_a_block_are_its_lines(lines: str, expected: list[tuple[int, str]]) -> None:
    assert found(f"{lines}\n---\n") == []
    assert found(f"kind: Secret\n{lines}") == [(line + 1, name) for line, name in expected]


@pytest.mark.parametrize("header", ["|", ">", "|-", ">+", "|2-", "| # x", ""])
@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("    hunter2\n", 4),
        ("\n    # x\n    {{ a }}\n    hunter2\n    hunter2\n", 7),
        ("      hunter2\n", 4),
        ("    {{ a }}: {{ b }}\n", 0),
        (f"    {ENCRYPTED}\n", 0),
        ("    x{{ a }}\n", 0),
        ("\n", 0),
    ],
)
def test_a_value_may_have_lines_of_its_own(header: str, value: str, line: int) -> None:
    text = f"kind: Secret\ndata:\n  a: {header}\n{value}"
    own = [(line, "data.a")] if line else []
    assert found(text) == own
    last = text.count("\n")
    assert found(f"{text}  b: hunter2\n") == [*own, (last + 1, "data.b")]
    assert found(f"{text}  b:\n    hunter2\n") == [*own, (last + 2, "data.b")]


def test_a_line_that_is_no_entry_ends_the_one_before() -> None:
    assert found("kind: Secret\ndata:\n  a: |\n  x y\n    hunter2\n") == []
    assert found("kind: Secret\ndata:\n  a: b\n    hunter2\n") == [(3, "data.a")]


@pytest.mark.parametrize(
    ("flow", "names"),
    [
        ("data: {a: hunter2}", ["data.a"]),
        ("'data' : {'a' : \"hunter2\", b: 'x, y', c: z}", ["data.a", "data.b", "data.c"]),
        ("STRINGDATA: {a: hunter2}", ["STRINGDATA.a"]),
        ("data: {a: '', b: null, c: $D, e: \"{{ f }}\"}", []),
        (f"data: {{a: '{ENCRYPTED}'}}", []),
        ("mydata: {a: hunter2}", []),
        ("data: {a: hunter2}, more: {b: hunter2}", ["data.a"]),
        ("data: {a: hunter2}, stringData: {b: hunter2}", ["data.a", "stringData.b"]),
    ],
)
def test_the_entries_of_a_section_in_braces_are_read(flow: str, names: list[str]) -> None:
    assert found(f"x\n{{kind: Secret, {flow}}}\n") == [(2, name) for name in names]
    assert found(f"{{kind: Secret, \n\n{flow}}}\n") == [(3, name) for name in names]


@pytest.mark.parametrize(
    "value", ["your-password", "EXAMPLE", "'sample'", '"dummy_of_a_value"', "placeholder token"]
)
def test_the_usage_of_a_script_shows_examples(value: str) -> None:
    text = f"x\n---\nkind: Secret\ndata:\n  a: {value}\n  b: hunter2\n"
    assert found(text, in_shell=True) == [(6, "data.b")]
    assert found(text) == [(5, "data.a"), (6, "data.b")]


def test_a_script_may_hold_a_value_all_the_same() -> None:
    for value in ("your", "yours", "example-1", "an example"):
        text = f"kind: Secret\ndata:\n  a: {value}\n"
        assert bool(found(text, in_shell=True)) is (value != "your")


def test_what_a_store_keeps_is_fetched_but_not_by_flux() -> None:
    text = "kind: Secret\ndata:\n  a: 'op://vault/item/field'\n  b: hunter2\n"
    assert found(text) == [(4, "data.b")]
    assert found(text, for_flux=True) == [(3, "data.a"), (4, "data.b")]


@pytest.mark.parametrize("mark", ["# ", "#", "  ## ", "\t# "])
def test_a_secret_in_a_comment_is_in_the_file_all_the_same(mark: str) -> None:
    lines = ["kind: Secret", "data:", "  a: hunter2"]
    text = "\n".join(["x: y", *(f"{mark}{line}" for line in lines)])
    (hit,) = templates.commented_secrets(text)
    assert (hit.line, hit.rule) == (4, "secret-plaintext")
    assert hit.message.startswith("data.a is")
    assert hit.message.endswith(", in a comment")


@pytest.mark.parametrize(
    "text",
    [
        "kind: Secret\ndata:\n  a: hunter2\n",
        "kind: Secret\n# data:\n#   a: hunter2\n",
        "# kind: Secret\ndata:\n  a: hunter2\n",
        "# kind: ConfigMap\n# data:\n#   a: hunter2\n",
        "x # kind: Secret\nx # data:\nx #   a: hunter2\n",
    ],
)
def test_what_is_in_no_comment_is_told_elsewhere(text: str) -> None:
    assert list(templates.commented_secrets(text)) == []
