"""What is in the way is cleared away; what is no longer in the way is not looked at again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sopslab.config.environment import at_seat
from sopslab.config.settings import Settings
from sopslab.lab.act.clearing import clear
from tests.repositories import learner

SEATS = [at_seat(learner(one)) for one in ("ada", "bob")]
# Records its calls. What is deleted is no longer shown.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
case " $* " in
*" api-resources "*) echo configmaps ;;
*" get namespaces,"*) cat "$here/delivery" ;;
*" get configmaps "*) cat "$here/inside" ;;
*" delete "*) echo '{"items": []}' >"$here/inside" ;;
esac
"""


def thing(kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    where = {"namespace": namespace} if namespace else {}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **where}}


def test_only_who_is_still_blocked_is_looked_at_again(answered_by: Callable[..., Settings]) -> None:
    settings = answered_by(KUBECTL)
    spaces = [thing("Namespace", name) for one in SEATS for name in (one.namespace, one.system)]
    found = {"delivery": spaces, "inside": [thing("ConfigMap", "mine", "ada-develop")]}
    for name, items in found.items():
        Path(settings.bin_dir, name).write_text(json.dumps({"items": items}))
    clear(settings.for_machine, SEATS)
    calls = Path(settings.bin_dir, "calls").read_text().splitlines()
    first, second = (call for call in calls if " get configmaps " in call)
    assert " --all-namespaces " in first
    assert " --namespace ada-develop " in second
    assert not Path(settings.class_dir, "failed").exists()
