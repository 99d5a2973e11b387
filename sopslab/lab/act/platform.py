"""The platform repository: what the cluster reconciles itself from, and what it is started with.

The manifests of the start are built from the very commit that is pushed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sopslab.checks.recreation import RECREATE
from sopslab.config.places import INSTRUCTOR, Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import told
from sopslab.lab.tools import flux
from sopslab.lab.tools.docker import node_images
from sopslab.lab.tools.files import has_content, new_folder, unpack
from sopslab.lab.tools.git import SOPS_LAB, Git, clone
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.manifests import documents, images_of, joined
from sopslab.lab.tools.programs import Failed
from sopslab.layout import FLUX_NAMESPACE
from sopslab.model.objects import reference

_US = {"user.name": SOPS_LAB.name, "user.email": SOPS_LAB.email}
_FLUX = "flux/clusters/lab/flux-system"
_TOOLKIT = re.compile(rb"apiVersion: [a-z.]*toolkit\.fluxcd\.io/")


@contextmanager
def cloned(lab: Lab) -> Iterator[Git]:
    """Yield a new clone of the platform repository, in a folder beside the lab's own clone of it.

    `push` and `replace` put it there; until then it is nobody's. Raises LabError if it cannot be
    made.
    """
    url = f"{lab.git_base_url}/platform.git"
    login = lab.login_file(INSTRUCTOR)
    with new_folder(lab.platform_dir) as folder:
        try:
            git = clone(lab, url, folder / "clone", login, _US)
        except Failed as failure:
            raise LabError(
                f"the platform repository could not be cloned from {url}: {told(failure)}"
            ) from None
        yield git


def push(git: Git, *refs: str) -> None:
    """Push what a clone has, all of it or nothing. Raises Failed.

    The push is the one moment at which it appears.
    """
    git.run("push", "--quiet", "--atomic", "origin", "HEAD:refs/heads/main", *refs)
    git.run("fetch", "--quiet")


def replace(new: Path, old: str) -> None:
    """Put a new clone, or what was made of it, in place of the old one."""
    shutil.rmtree(old, ignore_errors=True)
    new.rename(old)


def lay_out(
    lab: Lab, files: str, mark: str, components: list[str], node: str | None, tag: str | None
) -> None:
    """Lay out files and the components of Flux in the platform repository; records in `docs` stay.

    Raises LabError if the node could not start this version of Flux.

    + files: what it holds, packed
    + mark: what the commit says it was laid out from
    + components: the controllers of Flux
    + node: the node of the cluster, where that has only the images that it was made with
    + tag: the tag that is set where it is new
    """
    with ThreadPoolExecutor(1) as beside, cloned(lab) as git:
        exported = beside.submit(flux.manifests, lab, components)
        # Meanwhile the clone is made ready.
        git.run("rm", "-rq", "--ignore-unmatch", "--", ".", ":(exclude)docs")
        unpack(files, git.folder)
        (git.folder / _FLUX / "gotk-components.yaml").write_bytes(exported.result())
        git.run("add", "--all")
        git.run(
            "commit", "--quiet", "--allow-empty",
            "--message", "Lay out the platform", "--message", f"Sops-lab-content: {mark}",
        )  # fmt: skip
        built = Kubectl(lab).run("kustomize", str(git.folder / _FLUX))
        if node is not None:
            _refuse_without_images(lab, node, built)
        manifests = git.folder.parent / "manifests"
        learners = sorted(git.folder.glob("flux/clusters/lab/learners/*.yaml"))
        _write(manifests, built, [file.read_bytes() for file in learners])
        refs = []
        if tag is not None:
            refs = [f"refs/tags/{tag}"]
            if git.commit(refs[0]) is None:
                git.run("tag", tag)
        push(git, *refs)
        # The clone says that all is done: it goes first, and comes last.
        shutil.rmtree(lab.platform_dir, ignore_errors=True)
        replace(manifests, lab.manifests_dir)
        replace(git.folder, lab.platform_dir)
    if lab.cluster_provider == "existing":
        # No hook of the Git server tells a cluster that the lab did not make.
        Kubectl(lab).ask_flux([reference("GitRepository", FLUX_NAMESPACE, FLUX_NAMESPACE)], 20)


def _write(folder: Path, built: bytes, learners: Iterable[bytes]) -> None:
    """Write the manifests of the start: what only the toolkit's own kinds can express is applied
    second, when those kinds are served."""
    of_toolkit, others = split(built)
    folder.mkdir()
    (folder / "components.yaml").write_bytes(joined(others))
    (folder / "sync.yaml").write_bytes(joined([*of_toolkit, *learners]))


def split(built: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the documents of the toolkit's own kinds, and the others."""
    parts: tuple[list[bytes], list[bytes]] = [], []
    for one in documents(built):
        parts[0 if _TOOLKIT.search(one) else 1].append(one)
    return parts


def _refuse_without_images(lab: Lab, node: str, built: bytes) -> None:
    """Raise LabError if a node lacks images that Flux is made of.

    A node has the images that it was made with, and gets no others: a push would stop the Flux that
    runs, and start none.
    """
    held = node_images(lab, node) if has_content(lab.lab_kubeconfig) else None
    lacking = lacking_images(built, held) if held is not None else []
    if lacking:
        raise LabError(
            f"the node {node} was made without the images of this version of Flux"
            f" ({' '.join(lacking)}), and what runs there is left as it is: {RECREATE}"
        )


def lacking_images(built: bytes, held: frozenset[str]) -> list[str]:
    """Return the images that manifests name and that are not among those held."""
    return [image for image in images_of(built) if image not in held]
