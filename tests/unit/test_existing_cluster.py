"""A cluster that the lab did not make: taken on, and left."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.act import existing
from sopslab.lab.observe.existing import has_context, has_flux

KUBECTL = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
case " $* " in
*" config view "*) cat "$here/context" ;;
*" get namespace flux-system "*) cat "$here/owner" ;;
esac
"""


@pytest.fixture
def settings(lab: Callable[..., Settings], tools: Callable[..., Path]) -> Settings:
    found = lab(cluster_provider="existing", kubeconfig="/home/ada/.kube/config", context="prod")
    for name in ("kubectl", "flux"):
        path = tools() / name
        path.write_text(KUBECTL)
        path.chmod(0o755)
    Path(found.bin_dir, "context").write_text("the: context\n")
    Path(found.bin_dir, "owner").touch()
    Path(found.lab_dir).mkdir(parents=True)
    return found


def take_on(settings: Settings) -> None:
    existing.take_on(settings.for_machine, str(settings.kubeconfig))


@pytest.mark.parametrize("owner", ["", "flux-system lab"])
def test_one_context_becomes_the_labs_own(settings: Settings, owner: str) -> None:
    Path(settings.bin_dir, "owner").write_text(owner)
    assert not has_context(settings.for_machine, str(settings.kubeconfig))
    take_on(settings)
    own = Path(settings.lab_kubeconfig)
    assert own.read_text() == "the: context\n"
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert has_context(settings.for_machine, str(settings.kubeconfig))
    Path(settings.bin_dir, "context").write_text("the: context, with another token\n")
    assert not has_context(settings.for_machine, str(settings.kubeconfig))


@pytest.mark.parametrize("owner", ["flux-system ", "flux-system other"])
def test_a_flux_of_somebody_else_is_left_alone(settings: Settings, owner: str) -> None:
    Path(settings.bin_dir, "owner").write_text(owner)
    with pytest.raises(LabError, match="has a Flux that this lab did not install"):
        take_on(settings)
    assert list(Path(settings.lab_dir).iterdir()) == []


def test_what_is_not_there_is_named(settings: Settings) -> None:
    Path(settings.bin_dir, "owner").unlink()
    with pytest.raises(LabError, match="the context prod does not answer within 10 s"):
        take_on(settings)
    Path(settings.bin_dir, "context").unlink()
    with pytest.raises(LabError, match=r"no context prod in /home/ada/\.kube/config"):
        take_on(settings)


def test_flux_leaves_before_its_controllers_do(settings: Settings) -> None:
    Path(settings.lab_kubeconfig).write_text("a: kubeconfig\n")
    assert not has_flux(settings.for_machine)
    Path(settings.bin_dir, "owner").write_text('{"metadata": {"name": "flux-system"}}')
    assert has_flux(settings.for_machine)
    existing.leave(settings.for_machine, "develop")
    calls = Path(settings.bin_dir, "calls").read_text().splitlines()
    done = [call for call in calls if {"patch", "delete", "uninstall"} & set(call.split())]
    assert [" ".join(call.split()[-9:]) for call in done][-1].startswith("--context prod delete")
    kinds = ["patch kustom", "delete kustom", "delete receivers", "delete gitrep", "uninstall"]
    assert all(kind in call for kind, call in zip(kinds, done, strict=False))
    assert not Path(settings.lab_kubeconfig).exists()
    assert not has_flux(settings.for_machine)
