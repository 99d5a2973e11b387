"""render_tree: what it renders, what it copies, and what it refuses."""

from pathlib import Path

import pytest

from sopslab.files.render import SUFFIX, RenderedFile, Renderer, RenderError, render_tree
from sopslab.layout import PROJECT, TEMPLATES


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_renders_templates_and_strips_their_suffix(tmp_path: Path) -> None:
    write(tmp_path / "docs" / "hello.md.j2", "Hello #{ learner.name }#!\n")

    rendered = render_tree(tmp_path, {"learner": {"name": "Zoë"}})

    assert rendered == {"docs/hello.md": RenderedFile("Hello Zoë!\n".encode(), executable=False)}


def test_copies_other_files_byte_for_byte(tmp_path: Path) -> None:
    content = b"\x00\xff #{ not_rendered }#\r\n"
    write(tmp_path / "image.bin", content)

    assert render_tree(tmp_path, {})["image.bin"].content == content


@pytest.mark.parametrize("name", ["run.sh", "run.sh.j2"])
def test_keeps_the_executable_bit(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, "#!/bin/sh\n").chmod(0o755)

    assert render_tree(tmp_path, {})["run.sh"].executable


def test_one_file_is_rendered_without_the_others(tmp_path: Path) -> None:
    write(tmp_path / "bin" / "run.j2", "#{ name }#\n").chmod(0o755)
    write(tmp_path / "other.j2", "#{ unknown }#")

    found = Renderer(tmp_path).file("bin/run", {"name": "a"})

    assert found == RenderedFile(b"a\n", executable=True)


def test_blocks_and_comments_leave_no_lines_behind(tmp_path: Path) -> None:
    template = "#| why |#\nlist:\n  #% for item in items %#\n  - #{ item }#\n  #% endfor %#\n"
    write(tmp_path / "list.yaml.j2", template)

    rendered = render_tree(tmp_path, {"items": ["a", "b"]})

    assert rendered["list.yaml"].content == b"list:\n  - a\n  - b\n"


@pytest.mark.parametrize("text", ["${array[@]}", "{{ .Values.x }}", "{% raw %}", "${#array[@]}"])
def test_leaves_other_template_languages_alone(tmp_path: Path, text: str) -> None:
    write(tmp_path / "file.j2", text)

    assert render_tree(tmp_path, {})["file"].content == text.encode()


def test_values_are_inserted_literally(tmp_path: Path) -> None:
    write(tmp_path / "file.j2", "#{ value }#")
    value = "#{ other }# <b> & $(rm -rf /)"

    assert render_tree(tmp_path, {"value": value})["file"].content == value.encode()


def test_order_does_not_depend_on_the_file_system(tmp_path: Path) -> None:
    for name in ["b.txt", "a/z.txt", "a.txt.j2", ".hidden"]:
        write(tmp_path / name, "")

    assert list(render_tree(tmp_path, {})) == [".hidden", "a.txt", "a/z.txt", "b.txt"]


@pytest.mark.parametrize("expression", ["missing", "learner.missing", "missing.name"])
def test_an_undefined_name_is_an_error_with_file_and_line(tmp_path: Path, expression: str) -> None:
    path = write(tmp_path / "sub" / "file.md.j2", f"one\ntwo\n#{{ {expression} }}#\n")

    with pytest.raises(RenderError) as caught:
        render_tree(tmp_path, {"learner": {"name": "x"}})

    place, _, reason = str(caught.value).partition(": ")
    assert place == f"{path}:3"
    assert "missing" in reason


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path / "file.j2", "one\n#% if %#\n")

    with pytest.raises(RenderError) as caught:
        render_tree(tmp_path, {})

    assert str(caught.value).startswith(f"{path}:2: ")


def test_two_sources_of_one_file_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "file", "")
    write(tmp_path / "file.j2", "")

    with pytest.raises(RenderError, match="second source of file"):
        render_tree(tmp_path, {})


def test_symbolic_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")

    with pytest.raises(RenderError, match="symbolic link"):
        render_tree(tmp_path, {})


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="is not a directory"):
        render_tree(tmp_path / "nowhere", {})


def test_a_template_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "file.j2", b"\xff\xfe")

    with pytest.raises(RenderError, match="is not UTF-8"):
        render_tree(tmp_path, {})


def test_what_is_a_template_is_called_one() -> None:
    """A file without such a name is copied as it is, with all marks."""
    taken = [
        path
        for top in (TEMPLATES, PROJECT / "flux")
        for path in top.rglob("*")
        if path.is_file() and path.suffix != SUFFIX and "#{ " in path.read_text()
    ]
    assert taken == []
