"""A lab on a machine whose network rejects everything: all that the lab has came in one file."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sopslab.config.inputs import local_settings
from sopslab.layout import PROJECT
from tests.cluster.debian import ENGINE, Machine, machine
from tests.cluster.lab import run

pytestmark = [pytest.mark.soak, pytest.mark.machines]

CARRIED, ROOT, BUNDLE = "/srv/carried", "/srv/labs", "lab.bundle"
SOPSLAB = f"{ROOT}/bin/sopslab"
SOPSLAB_HERE = (sys.executable, "-m", "sopslab")
NAME, ADDRESS = "room", "ada@example.org"
RESOLVER = "203.0.113.53"
FENCE = PROJECT / "tests/data/network/fence.nft"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a signed bundle of this machine's store, and the list of allowed signers."""
    folder = tmp_path_factory.mktemp("bundle")
    key = folder / "key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    (folder / "signers").write_text(f"{ADDRESS} {key.with_suffix('.pub').read_text()}")
    run([
        *SOPSLAB_HERE, "bundle", "create",
        "--output", str(folder / BUNDLE), "--sign-with", str(key),
    ])  # fmt: skip
    key.unlink()
    return folder


@pytest.fixture(params=["bookworm", "trixie"])
def fenced(request: pytest.FixtureRequest, bundle: Path) -> Iterator[Machine]:
    """A machine whose network rejects everything, with what docs/bundles.md asks for and the
    bundle."""
    suite = request.param
    packages = [
        *("python3", "git", "iptables", "nftables", "openssh-client", "util-linux"), *ENGINE[suite],
    ]  # fmt: skip
    with machine(suite, *packages) as made:
        made.copy_in(bundle, CARRIED)
        fence = ('printf "%s" "$2" | nft --define "resolver=$1" -f -', "sh", RESOLVER)
        made.run("sh", "-euc", *fence, FENCE.read_text())
        # Docker's own resolver would answer for this machine, and names have to be asked for
        # outside, too.
        made.run("sh", "-euc", 'echo "nameserver $1" >/etc/resolv.conf', "sh", RESOLVER)
        yield made


def packets(machine: Machine) -> int:
    """Return how many packets tried to leave the machine."""
    listed = json.loads(machine.run("nft", "--json", "list", "counters").stdout)["nftables"]
    (found,) = [each["counter"]["packets"] for each in listed if "counter" in each]
    assert isinstance(found, int)
    return found


def test_a_bundle_is_enough_for_a_lab(fenced: Machine) -> None:
    # The machine's network is closed, and the packets that it rejects are counted.
    asked = fenced.run("git", "ls-remote", "https://203.0.113.1/a.git", check=False)
    assert asked.returncode != 0 and packets(fenced) > 0
    before = packets(fenced)

    # As docs/bundles.md says: check the installing program before running it.
    fenced.run("tar", "-xf", BUNDLE, "manifest.json", "manifest.json.sig", "beginning.py",
               cwd=CARRIED)  # fmt: skip
    fenced.run(
        "sh", "-euc",
        'ssh-keygen -Y verify -f signers -I "$1" -n sops-lab-bundle -s manifest.json.sig'
        " <manifest.json", "sh", ADDRESS, cwd=CARRIED,
    )  # fmt: skip
    manifest = json.loads(fenced.run("cat", "manifest.json", cwd=CARRIED).stdout)
    (told,) = [file for file in manifest["files"] if file["name"] == "beginning.py"]
    text = fenced.run("cat", "beginning.py", cwd=CARRIED).stdout
    assert hashlib.sha256(text.encode()).hexdigest() == told["sha256"]
    fenced.run("python3", "beginning.py", "bundle", ROOT, BUNDLE, "--signers", "signers",
               cwd=CARRIED)  # fmt: skip

    own = partial(fenced.run, SOPSLAB_ROOT=ROOT, SOPSLAB_LAB=NAME)
    own(SOPSLAB, "bundle", "load", BUNDLE, "--signers", "signers", cwd=CARRIED)
    up = json.loads(own(SOPSLAB, "up", "--install-docker", "--json", check=False).stdout)
    assert up["ok"], (up["problems"], fenced.run("tail", "--lines=40", up["log"]).stdout)
    again = json.loads(own(SOPSLAB, "up", "--json").stdout)
    assert again["changed"] == 0
    loaded = own(SOPSLAB, "bundle", "load", BUNDLE, cwd=CARRIED).stdout
    assert "nothing to do" in loaded
    assert packets(fenced) == before

    own(SOPSLAB, "down", "--purge", "--yes")
    left = fenced.run("ls", ROOT, f"{ROOT}/bin").stdout.split()
    assert left == [f"{ROOT}:", "bin", "product", f"{ROOT}/bin:", "sopslab"]


def test_the_bundle_of_this_store_is_the_one_that_another_run_makes(bundle: Path) -> None:
    run([*SOPSLAB_HERE, "bundle", "create", "--output", str(bundle / "again")])
    run([*SOPSLAB_HERE, "bundle", "create", "--output", str(bundle / "same")])
    sums = {hashlib.sha256((bundle / name).read_bytes()).hexdigest() for name in ("again", "same")}
    assert len(sums) == 1
    assert Path(local_settings().root, "members").is_dir()
