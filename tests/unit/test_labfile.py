"""A file that is no lab file is refused in one sentence with file and line, within bounds."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sopslab.config.labfile import read_lab_file
from sopslab.errors import InputError

KEY = "lab: demo\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)

# The content of the file, and the sentence after its path.
BROKEN = {
    "unclosed-quote": (KEY + 'root: "/srv\n', ":3: found unexpected end of stream"),
    "unclosed-bracket": (KEY + "learner: [a\n", ":3: expected ',' or ']', but got"),
    "tab-as-indent": (KEY + "learner:\n\tid: ada\n", ":3: found character '\\t' that cannot start"),
    "value-on-value": (KEY + "root: a: b\n", ":2: mapping values are not allowed here"),
    "duplicate-key": (KEY + "root: /srv\nlab: two\n", ":3: 'lab' is there twice"),
    "duplicate-key-below": (
        KEY + "learner:\n  id: ada\n  id: bob\n",
        ":4: 'id' is there twice",
    ),
    "duplicate-key-quoted": (KEY + '"lab": two\n', ":2: 'lab' is there twice"),
    "alias": ("a: &x demo\nlab: *x\n", ":2: aliases are not allowed: write the value out"),
    "alias-bomb": (BOMB, ":2: aliases are not allowed: write the value out"),
    "merge-key": (
        "a: &a {lab: one}\nlearner:\n  <<: *a\n",
        ":3: aliases are not allowed: write the value out",
    ),
    "many-values": (KEY + "".join(f"k{n}: {n}\n" for n in range(20_000)), "more than 20000 values"),
    "two-documents": (KEY + "---\n" + KEY, ":2: but found another document"),
    "python-object": (
        KEY + "root: !!python/object/apply:os.getcwd []\n",
        ":2: could not",
    ),
    "unhashable-key": (KEY + "? [a, b]\n: c\n", ":2: found unhashable key"),
    "list": ("- lab: demo\n", ": settings are needed, such as `lab: demo`"),
    "text": ("demo\n", ": settings are needed, such as `lab: demo`"),
    "number-as-key": ("1: demo\n", ": settings are needed, such as `lab: demo`"),
    "deep-lists": ("lab: " + "[" * 5_000, ": is nested too deeply"),
    "deep-maps": ("lab: " + "{a: " * 5_000, ": is nested too deeply"),
    "bad-timestamp": (KEY + "root: 2026-13-45\n", ":2: "),
    "number-out-of-range": (KEY + f"root: 1{':0' * 200}.5\n", ":2: int too large to convert"),
    "escape-out-of-range": (
        KEY + 'root: "\\UFFFFFFFF"\n',
        ":2: holds an escape or a number out of range",
    ),
    "version-out-of-range": (
        f"%YAML 1.{'1' * 5000}\n---\n{KEY}",
        ":1: holds an escape or a number out of range",
    ),
    "bad-number": (KEY + "root: !!int seven\n", ":2: "),
    "control-character": (KEY + "root: \x07\n", "special characters are not allowed"),
}


def problem_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_lab_file(str(path))
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    content, expected = BROKEN[case]
    path = tmp_path / "lab.yaml"
    path.write_text(content)
    problem = problem_of(path)
    assert problem.startswith(f"{path}:")
    assert expected in problem
    assert "\n" not in problem
    assert len(problem) < 300 + len(str(path))


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_bytes(b"lab: demo\nlearner:\n  id: zo\xeb\n")
    assert problem_of(path) == f"{path}:3: is not UTF-8: save it as UTF-8"


def test_utf_16_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(KEY, encoding="utf-16")
    assert problem_of(path) == f"{path}: is UTF-16: save it as UTF-8"


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_bytes(b"\xef\xbb\xbflab: demo\r\nroot: /srv\r\n")
    assert read_lab_file(str(path)) == {"lab": "demo", "root": "/srv"}


@pytest.mark.parametrize("content", ["", "\n", "# nothing\n", "---\n", "null\n"])
def test_an_empty_file_is_the_defaults(content: str, tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(content)
    assert read_lab_file(str(path)) == {}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent.yaml"
    assert problem_of(path) == f"{path}: cannot be read: No such file or directory"
    assert problem_of(tmp_path) == f"{tmp_path}: cannot be read: Is a directory"


def test_ten_megabytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_bytes(KEY.encode() * 1024 * 1024)
    assert problem_of(path) == f"{path}: is larger than 1 MiB, which no lab file is"


def test_a_device_without_an_end_is_refused() -> None:
    assert problem_of(Path("/dev/zero")) == "/dev/zero: is larger than 1 MiB, which no lab file is"


@pytest.mark.parametrize("case", ["alias-bomb", "many-values", "deep-lists", "deep-maps"])
def test_a_hostile_file_takes_little_memory_and_time(case: str, tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(BROKEN[case][0])
    program = (
        "import sys; from sopslab.config.labfile import read_lab_file; read_lab_file(sys.argv[1])"
    )
    half_a_gib = 512 * 1024 * 1024
    done = subprocess.run(
        [sys.executable, "-c", program, path],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (half_a_gib, half_a_gib)),
    )
    assert done.stderr.splitlines()[-1].startswith("sopslab.errors.InputError: ")
