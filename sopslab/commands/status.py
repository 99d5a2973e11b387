"""`sopslab status`: what is up, and where."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from sopslab.commands import settings_or_exit
from sopslab.errors import Exit
from sopslab.layout import FLUX_NAMESPACE, KUSTOMIZATION
from sopslab.naming import git_server_name, node_name
from sopslab.settings import Settings

_PATIENCE = 10  # seconds for each question


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> None:
    """Tell what of the lab is up, and where. Exits 0 if all of it is, 1 if not."""
    settings = settings_or_exit()
    parts = look(settings)
    up = all(part["up"] for part in parts)
    if as_json:
        click.echo(json.dumps({"lab": settings.lab, "up": up, "parts": parts}, indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for part in parts:
            mark = Text("✓ ", "green") if part["up"] else Text("✗ ", "red")
            console.print(mark + Text(f"{part['name']:<14}{part['where']}: {part['state']}"))
    sys.exit(Exit.OK if up else Exit.FAILED)


def look(settings: Settings) -> list[dict[str, object]]:
    """Return the parts of the lab: name, whether it is up, its state in words, and where it is."""
    parts = []
    if settings.cluster_provider == "kind":
        parts.append(_container("node", node_name(settings.lab), settings.lab_context))
    if settings.git_url is None:
        address = f"{settings.git_base_url}/{settings.learner_repository}.git"
        parts.append(_container("git", git_server_name(settings.lab), address))
    for kind, name in (
        ("kustomization", FLUX_NAMESPACE),
        ("gitrepository", settings.learner.id),
        ("kustomization", KUSTOMIZATION),
    ):
        parts.append(_flux(settings, kind, name))
    return parts


def _container(name: str, container: str, where: str) -> dict[str, object]:
    answer = _ask(["docker", "container", "inspect", "--format", "{{.State.Status}}", container])
    state = answer or "not there"
    return {"name": name, "up": state == "running", "state": state, "where": where}


def _flux(settings: Settings, kind: str, name: str) -> dict[str, object]:
    kubectl = Path(settings.bin_dir) / "kubectl"
    answer = _ask(
        [
            str(kubectl), "--kubeconfig", settings.lab_kubeconfig,
            "--context", settings.lab_context, "--request-timeout", "8s",
            "--namespace", FLUX_NAMESPACE, "get", kind, name, "--output", "json",
        ]
    )  # fmt: skip
    where = f"{kind}/{name} in {FLUX_NAMESPACE}"
    if not answer:
        return {"name": kind, "up": False, "state": "not there", "where": where}
    found = json.loads(answer)
    ready = next(
        (c for c in found.get("status", {}).get("conditions", []) if c["type"] == "Ready"), None
    )
    current = found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]
    up = ready is not None and ready["status"] == "True" and current
    state = ready["message"] if ready else "nothing reported yet"
    if found["spec"].get("suspend"):
        up, state = False, "suspended"
    return {"name": kind, "up": up, "state": state, "where": where}


def _ask(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
