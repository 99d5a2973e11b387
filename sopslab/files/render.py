"""Render a tree of files: `NAME.j2` through Jinja2, everything else as it is.

The delimiters are `#{ expression }#`, `#% statement %#` and `#| comment |#`, which collide with
neither YAML, shell, Helm nor Go templates. An undefined name is an error, never an empty string.
"""

from __future__ import annotations

import stat
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from jinja2 import TemplateSyntaxError as JinjaSyntaxError

from sopslab.errors import LabError
from sopslab.layout import TEMPLATES

SUFFIX = ".j2"
# What templates of any tree include.
_PARTS = TEMPLATES / "parts"


@dataclass(frozen=True)
class RenderedFile:
    """A file of the rendered tree."""

    content: bytes
    executable: bool


class RenderError(LabError):
    """A template that cannot be rendered: which file, which line if that is known, and why."""

    def __init__(self, path: Path, line: int | None, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if line is None else f"{path}:{line}: {reason}")


def template_environment(source: Path, *, escaping: bool) -> Environment:
    """Return the Jinja2 environment for every template below `source`, with the project's
    delimiters.

    + escaping: whether values are escaped as HTML; text, YAML and shell would be spoilt by it
    """
    return Environment(
        variable_start_string="#{",
        variable_end_string="}#",
        block_start_string="#%",
        block_end_string="%#",
        comment_start_string="#|",
        comment_end_string="|#",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=escaping,
        loader=FileSystemLoader([source, _PARTS]),
    )


class Renderer:
    """Renders a directory of templates any number of times; each template is parsed once.

    Raises RenderError if `source` is not a directory, or holds anything but plain files.
    """

    def __init__(self, source: Path) -> None:
        if not source.is_dir():
            raise RenderError(source, None, "is not a directory")
        self._source = source
        self._environment = template_environment(source, escaping=False)
        self._paths: dict[str, Path] = {}
        for path in sorted(source.rglob("*")):
            if path.is_symlink():
                raise RenderError(
                    path, None, "is a symbolic link; a template tree holds plain files"
                )
            if path.is_dir():
                continue
            name = path.relative_to(source).as_posix().removesuffix(SUFFIX)
            if name in self._paths:
                raise RenderError(path, None, f"is a second source of {name}")
            self._paths[name] = path

    def render(self, variables: Mapping[str, object]) -> dict[str, RenderedFile]:
        """Return the rendered files in order, by their paths.

        A path is relative to the directory, has `/`, and has no `.j2` at its end. The same input
        gives the same output, byte for byte. Raises RenderError.
        """
        return {name: self.file(name, variables) for name in sorted(self._paths)}

    def file(self, name: str, variables: Mapping[str, object]) -> RenderedFile:
        """Return one of the files that `render` returns. Raises RenderError."""
        path = self._paths[name]
        content = _content(self._environment, self._source, path, variables)
        return RenderedFile(content, bool(path.stat().st_mode & stat.S_IXUSR))


def render_tree(source: Path, variables: Mapping[str, object]) -> dict[str, RenderedFile]:
    """Render all files below a directory, once: `Renderer(source).render(variables)`."""
    return Renderer(source).render(variables)


def _content(
    environment: Environment, source: Path, path: Path, variables: Mapping[str, object]
) -> bytes:
    if path.suffix != SUFFIX:
        return path.read_bytes()
    try:
        template = environment.get_template(path.relative_to(source).as_posix())
        return template.render(variables).encode()
    except JinjaSyntaxError as error:
        place = Path(error.filename) if error.filename else path
        raise RenderError(place, error.lineno, error.message or "cannot be parsed") from error
    except TemplateError as error:
        line = _line(error, path)
        raise RenderError(path, line, error.message or type(error).__name__) from error
    except UnicodeDecodeError as error:
        raise RenderError(path, None, "is not UTF-8") from error


def _line(error: TemplateError, path: Path) -> int | None:
    """Return the line of the template that raised, which Jinja2 puts into the traceback."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    return lines[-1] if lines else None
