"""What a learner's repository does to a rotation: no service that a learner names is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cluster.classroom import Classroom
from tests.cluster.isolation.hostile import SECRETS, Hostile
from tests.cluster.lab import run
from tests.cluster.test_rotate import sops
from tests.listening import listening
from tests.texts import replaced

pytestmark = pytest.mark.every_provider


@pytest.mark.soak
def test_no_rotation_asks_a_service_that_a_learner_names(
    classroom: Classroom, tmp_path: Path
) -> None:
    # No fixture puts back what was before: it is encrypted to keys that are gone.
    ada = Hostile(classroom, "ada", tmp_path)
    rules, canary = ada.work / ".sops.yaml", ada.work / SECRETS / "lab-canary.yaml"
    public = Path(ada.lab.settings.keys_dir, "bob.pub")
    old = public.read_text()
    with listening() as (address, calls):
        vault = f"hc_vault_transit_uri: {address}/v1/transit/keys/k"
        rules.write_text(re.sub(r"^( *)age:", rf"\1{vault}\n\1age:", rules.read_text(), flags=re.M))
        assert vault in rules.read_text()
        key = {
            "vault_address": address,
            "engine_path": "transit",
            "key_name": "k",
            "created_at": "2026-01-01T00:00:00Z",
            "enc": "vault:v1:AAAA",
        }
        named = f"sops:\n    hc_vault: [{json.dumps(key)}]\n"
        canary.write_text(replaced(canary.read_text(), "sops:\n", named))
        # sops asks the vault if no identity opens the file.
        assert sops(ada.lab, canary.read_text(), Path("/dev/null")).returncode != 0
        assert calls
        calls.clear()
        run(["git", "commit", "-qanm", "Name a vault"], cwd=ada.work)
        try:
            ada.smuggle()
            for cause in ("cluster-key ada bob", "value-exposed ada --exposed lab-canary"):
                ada.lab.sopslab("rotate", *cause.split(), "--yes", check=False)
            ada.lab.sopslab("doctor", "ada", check=False)
            assert calls == []
            # Nobody else was held up, and ada's seat can be repaired.
            assert public.read_text() != old
            ada.lab.sopslab("reset", "ada", "--to", "encrypted")
            ada.lab.sopslab("rotate", "cluster-key", "ada", "--yes")
            assert ada.lab.changes(ada.lab.up()) == []
        finally:
            # Leave ada's seat for the next test as it began.
            ada.lab.sopslab("reset", "ada")
