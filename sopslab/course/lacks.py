"""What a repository still lacks for the exercise, in sentences. Pure.

The checks on the lab's machine use these sentences, and so does the Git server, which sees nothing
but the repository.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from sopslab.course.chapter import Chapter
from sopslab.course.listing import how_to_list


def no_file(chapter: Chapter) -> str:
    """Return that the exercise has not begun."""
    return (
        f"{chapter.file} is not there yet: this is where the chapter begins. The command asks"
        " for keys and values, and shows no value."
    )


def not_encrypted(chapter: Chapter) -> str:
    """Return that the file is not encrypted."""
    return f"{chapter.file} is not encrypted."


def not_listed(chapter: Chapter, kustomization: str) -> str:
    """Return that the list of what Flux applies lacks the file, and what to edit.

    + kustomization: the text of the list
    """
    name = PurePosixPath(chapter.file).name
    return (
        f"{chapter.kustomization} does not list {name}, so Flux does not apply it:"
        f" {how_to_list(kustomization, name)}."
    )


def not_pushed(head: str, main: str) -> str:
    """Return that the Git server's main lacks a commit."""
    return f"your commit {head[:7]} is not pushed: the Git server's main is {main[:7]}."


def gone_apart(head: str, main: str) -> str:
    """Return that a commit and the Git server's main have diverged."""
    return f"your commit {head[:7]} and the Git server's main ({main[:7]}) have diverged."
