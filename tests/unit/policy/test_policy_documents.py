"""YAML and JSON are read as Go reads them, within bounds, and nothing of them is constructed."""

from __future__ import annotations

import base64
import time

import pytest
import yaml

from sopslab.policy import documents, manifests
from sopslab.policy.documents import Mapping, Node, Parsed, Scalar, Sequence
from sopslab.policy.findings import Undecidable
from tests.unit.policy.policy_places import place


def only(text: str) -> Node:
    parsed = documents.parse(text)
    assert parsed.error_line == 0
    (document,) = parsed.documents
    return document


def merging(levels: int, more: str = "") -> str:
    """Return a ConfigMap in which each mapping merges the one before ten times."""
    rows = ["apiVersion: v1", "kind: ConfigMap", "metadata: {name: c}", "m0: &m0 {k: v}"]
    for level in range(1, levels):
        below = ", ".join([f"*m{level - 1}"] * 10)
        rows.append(f"m{level}: &m{level} {{k{level}: v, <<: [{below}]}}")
    return "\n".join([*rows, f"<<: [{', '.join([f'*m{levels - 1}'] * 10)}]", more, ""])


def test_a_mapping_is_merged_once_however_often_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at = 0
    own_entries = documents._own_entries

    def counted(node: Mapping) -> object:
        nonlocal looked_at
        looked_at += 1
        return own_entries(node)

    monkeypatch.setattr(documents, "_own_entries", counted)
    document = only(merging(5, f"data: [{', '.join(['{}'] * 40)}]"))
    merged = [key for key, _, _ in documents.entries(document)]
    assert merged[-5:] == ["k4", "k3", "k2", "k1", "k"] and looked_at == 6
    assert list(manifests.check(document, place())) == []
    assert looked_at < 5000


def test_what_is_merged_comes_in_order_and_hides_nothing_that_was_there() -> None:
    text = """
        a: &a {x: 1, y: 1, z: 1}
        b: &b {<<: *a, y: 2, v: 2}
        c: &c {<<: [*b, *a, {w: 3, x: 3}], z: 3}
        top: {<<: [*c, *a, [], {u: 4, v: 4}], t: 5}
    """
    top = documents.get(only(text), "top")
    found = [(key, documents.text_of(value)) for key, _, value in documents.entries(top)]
    assert found == [
        ("t", "5"),
        ("z", "3"),
        ("y", "2"),
        ("v", "2"),
        ("x", "1"),
        ("w", "3"),
        ("u", "4"),
    ]


@pytest.mark.parametrize(
    ("text", "aliases"), [("a: &a [1]\nb: *a\n", True), ("a: &a [1]\nb: [1]\n", False), ("", False)]
)
def test_aliases_are_told_from_equal_parts(text: str, aliases: bool) -> None:
    for document in documents.parse(text).documents:
        assert documents.has_aliases(document) is aliases


def plain(node: Node) -> object:
    """Return the content of a tree; of a scalar, its text and its line."""
    if isinstance(node, Mapping):
        return [(plain(key), plain(value)) for key, value in node.value]
    if isinstance(node, Sequence):
        return [plain(item) for item in node.value]
    return node.value, documents.line_of(node)


def test_documents_keep_their_order_and_their_lines() -> None:
    parsed = documents.parse("a: 1\n---\n- b\n- c\n---\nd\n")
    assert parsed.error_line == 0
    assert [plain(one) for one in parsed.documents] == [
        [(("a", 1), ("1", 1))],
        [("b", 3), ("c", 4)],
        ("d", 6),
    ]
    assert documents.parse("") == Parsed(())


def test_a_text_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_TEXT", 6)
    only("a: bcd")
    with pytest.raises(Undecidable, match=r"^is larger than 5 MiB$"):
        documents.parse("a: bcde")


@pytest.mark.parametrize(
    ("text", "documents_read", "line"),
    [
        ("a: b\nc: [\n", 0, 3),
        ("a: b\n---\nc: ]\n", 1, 3),
        ("}", 0, 1),
        ("a: \ud800", 0, 1),
        ("a: *b\n", 0, 1),
        ("{a: b\n", 0, 2),
        ('a: "\\q"\n', 0, 1),
        ('a: "\\q\n', 0, 1),
        ("\n\na: b: c\n", 0, 3),
    ],
)
def test_reading_stops_at_an_error(text: str, documents_read: int, line: int) -> None:
    parsed = documents.parse(text)
    assert (len(parsed.documents), parsed.error_line) == (documents_read, line)


@pytest.mark.parametrize(
    "text",
    ["a: " + "[" * 2000, "[" * 2000, "[" * 2000 + "]" * 2000, '["\\ud83d\\ude00",' + "[" * 90_000],
)
def test_nesting_has_an_end(text: str) -> None:
    with pytest.raises(Undecidable, match=r"^is nested too deeply$"):
        documents.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1\nb: *x\nc: &x 2\nd: *x\n", ["1", "1", "2", "2"]),
        ("a: &x 1\nc: &x 2\n---\nd: &x 3\ne: *x\n", ["1", "2", "3", "3"]),
        ('a: "it\\\'s"\n', ["it's"]),
        ('a: "it\\\'s"\nb: "it\\\'s \\\\\\\' \\""\n', ["it's", "it's \\' \""]),
        ("a: \"'\\'\"\nb: \"\n  \\'\"\nc: '\\'\n", ["''", " '", "\\"]),
        ('a: &x 1\nb: &x "\\\'"\nc: *x\n', ["1", "'", "'"]),
        ('a: "\\\'"\nb: &x 1\nc: &x 2\n', ["'", "1", "2"]),
        ("a: &x 1\nb: &x [&y 2, *x]\nc: *y\n", None),
    ],
)
def test_what_go_takes_is_taken(text: str, expected: list[str] | None) -> None:
    if expected is None:
        with pytest.raises(Undecidable, match="contains itself"):
            documents.parse(text)
        return
    parsed = documents.parse(text)
    assert parsed.error_line == 0
    read = [documents.text_of(value) for one in parsed.documents for value in fields(one)]
    assert read == expected


def fields(node: Node) -> list[Node]:
    return [value for _, _, value in documents.entries(node)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: &x 1\nb: &x 2\n---\nc: *x\n", 4),
        ("a: &x 1\nb: &x 2\nc: *y\n", 3),
        ("a: &x 1\nb: &x 2\nc: ]\n", 3),
        ('a: "\\\'"\nb: "\\q"\n', 2),
        ("a: \"\\'", 1),
    ],
)
def test_an_error_that_go_meets_too_is_met(text: str, line: int) -> None:
    assert documents.parse(text).error_line == line


def test_only_what_is_quoted_is_read_as_go_reads_it() -> None:
    """A quotation mark in a comment must not shift what counts as a quoted text."""
    text = "# \"\na: \\'\nkind: Secret\nz: x'\nname: &a \"it\\'s\"\nother: &a y\n"
    found = documents.fields(only(text))
    assert documents.text_of(found["kind"]) == "Secret"
    assert documents.text_of(found["name"]) == "it's"


def test_reading_again_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'a: "\\\'"\nb: "\\\'"\n'
    monkeypatch.setattr(documents, "_MAX_REREAD", len(text) - 1)
    assert documents.parse(text).error_line == 2
    monkeypatch.setattr(documents, "_MAX_REREAD", len(text))
    assert documents.parse(text).error_line == 0


def test_json_that_is_no_yaml_keeps_its_lines_and_its_members() -> None:
    text = (
        '\n {\n\t"a": "\\/",\n\t"b": [1, true, null, 1.5],\n\t"c": {"a": "\\ud83d\\ude00"},\n'
        '\t"a": "x\ty"\n}\n\n["d"]\n'
    )
    parsed = documents.parse(text)
    first, second = parsed.documents
    assert parsed.error_line == 0
    assert isinstance(first, Mapping)
    keys = [(key.value, documents.line_of(key)) for key, _ in first.value]
    assert keys == [("a", 3), ("b", 4), ("c", 5), ("a", 6)]
    assert all(key.tag == documents.STRING for key, _ in first.value)
    values = [value for _, value in first.value]
    assert [plain(value) for value in (values[0], values[3])] == [("/", 3), ("x\ty", 6)]
    assert documents.line_of(first) == 2
    assert first.tag == "tag:yaml.org,2002:map"
    assert isinstance(values[1], Sequence)
    assert values[1].tag == "tag:yaml.org,2002:seq"
    assert [documents.line_of(item) for item in (values[1], *values[1].value)] == [4] * 5
    assert [(item.value, item.tag.rpartition(":")[2]) for item in values[1].value] == [
        ("1", "int"), ("true", "int"), ("", "null"), ("1.5", "int"),
    ]  # fmt: skip
    assert plain(values[2]) == [(("a", 5), ("\U0001f600", 5))]
    assert isinstance(second, Sequence)
    assert plain(second) == [("d", 9)]


def test_a_key_of_json_is_looked_for_as_it_is_written() -> None:
    first = documents.parse('{"a": "\\ud83d\\ude00",\n\t"é": 1,\n"\\u0062": 2,\n"c": 3}').documents[
        0
    ]
    assert isinstance(first, Mapping)
    assert [documents.line_of(key) for key, _ in first.value] == [1, 2, 2, 4]


def test_lines_of_json_are_read_in_linear_time_and_each_has_its_own() -> None:
    started = time.process_time()
    parsed = documents.parse('{"a": "\\/"}\n' * 150_000)
    assert time.process_time() - started < 10
    assert [documents.line_of(one) for one in parsed.documents] == [*range(1, 150_001)]


@pytest.mark.parametrize("after", ["x", "}", '{"a": 1,}', "'b'"])
def test_what_is_neither_yaml_nor_json_is_an_error(after: str) -> None:
    parsed = documents.parse(f'["\\ud83d\\ude00"] {after}')
    assert (parsed.documents, parsed.error_line) == ((), 1)


def test_a_node_is_walked_to_once_and_in_order() -> None:
    root = only("a: &x [1, 2]\nb: *x\n")
    assert [node.value for node in documents.walk(root) if isinstance(node, Scalar)] == [
        "a", "1", "2", "b",
    ]  # fmt: skip
    assert next(documents.walk(root)) is root
    assert documents.children(only("a")) == []


@pytest.mark.parametrize("text", ["&a [*a]", "a: &x\n  b: [1, {c: *x}]", "&a {? *a : 1}"])
def test_what_contains_itself_is_refused(text: str) -> None:
    with pytest.raises(Undecidable, match=r"^contains itself through an alias$"):
        documents.parse(text)


def test_what_aliases_expand_to_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    # The list with two scalars counts as three nodes, and the whole text as eleven.
    text = "a: &a [1, 2]\nb: *a\nc: {d: *a}\n"
    monkeypatch.setattr(documents, "MAX_EXPANDED", 15)
    only(text)
    monkeypatch.setattr(documents, "MAX_EXPANDED", 14)
    with pytest.raises(Undecidable, match=r"^expands to too much through aliases$"):
        documents.parse(text)
    with pytest.raises(Undecidable, match="expands"):
        documents.parse(f"x: 1\n---\n{text}")
    documents.parse("a: [" + "1, " * 20 + "]")


def test_merged_entries_come_after_own_ones_and_give_way_to_them() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], x: 5, ? [q] : 6}\n"
    merged = documents.get(only(text), "c")
    found = [(key, documents.text_of(value)) for key, _, value in documents.entries(merged)]
    assert found == [("x", "5"), ("", "6"), ("y", "2"), ("z", "4")]
    assert documents.entries(None) == []
    assert documents.entries(only("[a]")) == []


@pytest.mark.parametrize("key", ["<<", "'<<'", "!!merge a"])
def test_a_merge_key_is_known_by_its_tag_or_its_text(key: str) -> None:
    assert documents.fields(only(f"{key}: {{x: 1}}\ny: 2\n")).keys() == {"x", "y"}


def test_a_merged_mapping_may_merge_another() -> None:
    root = only("a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b}\n")
    assert documents.fields(documents.get(root, "c")).keys() == {"x", "y"}


def test_of_duplicates_the_last_one_counts() -> None:
    root = only("a: {b: 1, b: 2}\na: {b: 3, b: 4}\n")
    assert documents.text_of(documents.get(root, "a", "b")) == "4"
    assert documents.text_of(documents.fields(documents.get(root, "a"))["b"]) == "4"
    assert documents.get(root, "c", "b") is None
    assert documents.get(root) is root
    assert documents.get(None, "a") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "a"),
        ("''", ""),
        ("~", ""),
        ("null", ""),
        ("'null'", "null"),
        ("!!null a", "a"),
        ("1", "1"),
        ("[a]", ""),
        (f"!!binary {base64.b64encode(b'text').decode()}", "text"),
        (f"!!binary {base64.b64encode(bytes([255, 97])).decode()}", "\ufffda"),
        ("!!binary abc", "abc"),
        ("!!binary ä", "ä"),
        (f"!!str {base64.b64encode(b'text').decode()}", base64.b64encode(b"text").decode()),
    ],
)
def test_the_text_of_a_scalar_is_what_go_makes_of_it(text: str, expected: str) -> None:
    assert documents.text_of(only(text)) == expected
    assert documents.text_of(None) == ""


def test_a_key_in_base64_is_read_as_its_text() -> None:
    assert documents.fields(only("? !!binary dGV4dA==\n: 1\n")).keys() == {"text"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("~", True), ("null", True), ("Null", True), ("NULL", True), ("!!null ''", True),
     ("nULL", False), ("''", False), ("'~'", False), ("!!null a", False), ("[]", False)],
)  # fmt: skip
def test_null_has_five_spellings(text: str, expected: bool) -> None:
    assert documents.is_null(only(text)) is expected


def test_a_tag_that_is_not_of_the_form_itself_is_told() -> None:
    text = "a: [1, 1.5, true, ~, b, 2026-01-01, =]\n<<: {c: !d e}\nf: !!null g\nh: !!set {i}\n"
    assert [node.tag for node in documents.tagged(only(text))] == [
        "!d", documents.NULL, "tag:yaml.org,2002:set",
    ]  # fmt: skip
    assert list(documents.tagged(only("!!null"))) == []


def test_a_key_that_its_mapping_has_already_is_told_with_its_line() -> None:
    text = "a: 1\nb:\n  a: 2\n  c: 3\n  c: 4\n? [d]\n: 5\na: 6\na: 7\n<<: {}\n<<: {}\n"
    assert list(documents.duplicate_keys(only(text))) == [("a", 8), ("a", 9), ("c", 5)]
    assert list(documents.duplicate_keys(only("[a, a]"))) == []


def test_a_leaf_has_a_path_and_is_there_once() -> None:
    root = only("a:\n- b\n- {c: &x d, e: [f]}\ng: *x\n<<: {h: i}\n")
    assert [(path, leaf.value) for path, leaf in documents.leaves(root)] == [
        (("a", "0"), "b"),
        (("a", "1", "c"), "d"),
        (("a", "1", "e", "0"), "f"),
        (("h",), "i"),
    ]
    assert [path for path, _ in documents.leaves(only("a"))] == [()]
    assert [path for path, _ in documents.leaves(only("a: &x [b]\nc: *x\n"))] == [("a", "0")]


def test_a_line_counts_from_one() -> None:
    mark = yaml.Mark("", 0, 4, 0, None, 0)
    assert documents.line_of(Scalar(documents.STRING, "a", mark, mark)) == 5
