"""How the cluster differs from the manifests in a file, and which of their objects are being
deleted."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.observe.applied import is_as_applied, record_file
from sopslab.lab.tools.files import entries, has_content, read
from sopslab.lab.tools.kubectl import MANAGER, Kubectl
from sopslab.lab.tools.programs import Failed

# Stands for a cluster that lacks something without which it cannot be compared with the manifests,
# or to which they were never applied.
ABSENT = "absent"

_NAMESPACE = re.compile(r"^ *namespace: *(.*)$", re.MULTILINE)
_KIND = re.compile(r"^kind: CustomResourceDefinition$", re.MULTILINE)
_NAME = re.compile(r"^  name: *(.*)$", re.MULTILINE)
# Fields that the API server counts up at every change of an object.
_COUNTED = re.compile(rb"  (generation|resourceVersion):")
# All that kubectl prints about an object whose namespace or kind does not exist.
_MISSING = {
    "namespace": re.compile(r'namespaces "([^"]*)" not found'),
    "kind": re.compile(r'no matches for kind "([^"]*)"'),
}
# On all that Flux's own manifests define. A cluster may have hundreds of other kinds, and each is
# long.
OF_FLUX = "app.kubernetes.io/part-of=flux"
_GOING = 'jsonpath={range .items[?(@.metadata.deletionTimestamp)]}{.metadata.name}{"\\n"}{end}'
# A program for kubectl to compare with. It copies the two folders that kubectl gives it, because
# kubectl removes them when it ends.
_COPY = '#!/bin/sh\ncp -r "$1" "$0.live" && cp -r "$2" "$0.merged" || exit 2\n'


def ending_namespaces(lab: Lab, manifests: str) -> list[str]:
    """Return the namespaces that manifests name and that are being deleted. Their objects may still
    be there, but will not stay."""
    named = set(_NAMESPACE.findall(manifests))
    going = _names(
        lab, "namespaces", "--field-selector", "status.phase=Terminating",
        "--output", 'jsonpath={range .items[*]}{.metadata.name}{"\\n"}{end}',
    )  # fmt: skip
    return [name for name in going if name in named]


def ending_kinds(lab: Lab, manifests: str) -> list[str]:
    """Return the kinds of Flux that manifests define, and that are being deleted in the cluster."""
    if not _KIND.search(manifests):
        return []
    named = set(_NAME.findall(manifests))
    chosen = ("--selector", OF_FLUX, "--output", _GOING)
    going = _names(lab, "customresourcedefinitions", *chosen)
    return [name for name in going if name in named]


def _names(lab: Lab, kind: str, *options: str) -> list[str]:
    try:
        return Kubectl(lab).run("get", kind, *options, patience=20).decode().split()
    except Failed:
        return []


def manifest_drift(lab: Lab, path: str) -> list[str]:
    """Return the objects in which the cluster differs from the manifests in a file. The result has
    `absent` if the cluster lacks a namespace or kind that they need, or does not exist itself.

    In that way a dry run on a bare machine predicts the changes. A new cluster is not compared: two
    requests for each object would take a second of the first `up`, and the answer is known.
    """
    needed = (lab.lab_kubeconfig, path, record_file(lab, path))
    if not all(map(has_content, needed)):
        return [ABSENT]
    if is_as_applied(lab, path):
        return []
    text = Path(path).read_text(encoding="utf-8")
    found = [f"the namespace {name} is being deleted" for name in ending_namespaces(lab, text)]
    found += [f"the kind {name} is being deleted" for name in ending_kinds(lab, text)]
    with tempfile.TemporaryDirectory(prefix="sops-lab-diff-") as folder:
        differ = Path(folder, "differ")
        differ.write_text(_COPY)
        differ.chmod(0o700)
        try:
            Kubectl(lab).run(
                "diff", "--concurrency", "8", "--server-side", "--force-conflicts",
                "--field-manager", MANAGER, "--filename", path,
                environment={"TMPDIR": folder, "KUBECTL_EXTERNAL_DIFF": str(differ)},
            )  # fmt: skip
        except Failed as failure:
            return [*found, ABSENT, *missing(failure.lines)]
        return found + differing(Path(folder, "differ.live"), Path(folder, "differ.merged"))


def differing(live: Path, merged: Path) -> list[str]:
    """Return the names of the files whose specified lines differ between two folders."""
    names = {path.name for folder in (live, merged) for path in entries(folder)}
    return sorted(
        name
        for name in names
        if specified(read(live / name) or b"") != specified(read(merged / name) or b"")
    )


def specified(text: bytes) -> list[bytes]:
    """Return the lines of an object in YAML without its status and counters.

    A controller may report a status between the two requests that kubectl makes for each object.
    That is no drift.
    """
    kept = []
    is_status = False
    for line in text.splitlines():
        if line and not line.startswith(b" "):
            is_status = line.startswith(b"status:")
        if not is_status and not _COUNTED.match(line):
            kept.append(line)
    return kept


def missing(lines: list[str]) -> list[str]:
    """Return in sentences what the cluster lacks, according to the output of kubectl."""
    found = {
        f"the {kind} {said[1]} is missing"
        for line in lines
        for kind, pattern in _MISSING.items()
        # The manifests themselves make Flux's own namespace.
        if '"flux-system" not found' not in line and (said := pattern.search(line))
    }
    return sorted(found)
