"""What every test may use. Nothing here imports pyinfra: the cluster's tests must not."""

from __future__ import annotations

import functools
import os
import runpy
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from sopslab.config.inputs import CHOOSING
from sopslab.config.settings import Settings, load_settings
from sopslab.layout import PROJECT

# The variables from which settings take their defaults.
_TELLING = (*CHOOSING, "SOPSLAB_GIT_PASSWORD", "DOCKER_HOST")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "soak: a long tail, run by `make soak` or `make clusters`; something near it is in"
        " `make test`",
    )
    config.addinivalue_line(
        "markers",
        "shells(usual=False): it runs a learner's scripts, in `make soak` under each shell that"
        " there is, and in `make test` where `usual` says so",
    )
    # How long an example takes says how busy the machine is.
    hypothesis.settings.register_profile("any-machine", deadline=None)
    hypothesis.settings.load_profile("any-machine")
    # Processes that `nohup`, a shell's `&` and some CI runners start ignore these signals, and all
    # that the tests start would ignore them, too.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)


def find_tool(name: str) -> str:
    """Return the path of a program in SOPSLAB_TOOLS or PATH; if there is none, the test fails."""
    places = os.pathsep.join(filter(None, (os.environ.get("SOPSLAB_TOOLS"), os.environ["PATH"])))
    found = shutil.which(name, path=places)
    if found is None:
        pytest.fail(f"{name} is needed: put it into PATH or set SOPSLAB_TOOLS to its directory")
    return found


@functools.cache
def defaults() -> Mapping[str, Any]:
    """Return the default of each setting, whatever the environment says."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _TELLING:
            patch.delenv(name, raising=False)
        data = runpy.run_path(str(PROJECT / "group_data" / "all.py"))
    return {key: value for key, value in data.items() if key in Settings.model_fields}


@pytest.fixture
def lab_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return the defaults of every lab, under a root of this test, with changes."""
    for name in _TELLING:
        monkeypatch.delenv(name, raising=False)
    return lambda **changes: {**defaults(), "root": str(tmp_path / "root"), **changes}


@pytest.fixture
def lab(lab_data: Callable[..., dict[str, Any]]) -> Callable[..., Settings]:
    """Return the settings of a lab under a root of this test, with changes."""
    return lambda **changes: load_settings(lab_data(**changes))


def link_tools(root: Path, *names: str) -> Path:
    """Link real tools into the bin directory of a lab's root; return the directory."""
    folder = root / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).symlink_to(find_tool(name))
    return folder


@pytest.fixture
def tools(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that links real tools into the bin directory of the lab's root."""
    return functools.partial(link_tools, tmp_path / "root")
