"""The platform repository, from which the cluster reconciles itself, and the manifests that it is
started with.

These manifests are built from the very commit that is pushed.
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

    `push` publishes its content, and `replace` puts it in the place of the lab's own; until then
    nobody uses it. Raises LabError if it cannot be made.
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
    """Push the HEAD of a clone to main, and refs with it: all of them or none. Raises Failed.

    The clone's content appears in the platform repository at once, with this push.
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

    + files: the files of the repository, packed
    + mark: what the commit names as the content that was laid out
    + components: the controllers of Flux
    + node: the cluster's node, if it has only the images that it was made with
    + tag: a tag for the commit, which is set if there is no such tag yet
    """
    with ThreadPoolExecutor(1) as beside, cloned(lab) as git:
        exported = beside.submit(flux.manifests, lab, components)
        # The clone is made ready while Flux's manifests are exported.
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
        # The lab's own clone shows that everything is done: the old one goes first, the new one
        # comes last.
        shutil.rmtree(lab.platform_dir, ignore_errors=True)
        replace(manifests, lab.manifests_dir)
        replace(git.folder, lab.platform_dir)
    if lab.cluster_provider == "existing":
        # The Git server's hook does not reach a cluster that the lab did not make.
        Kubectl(lab).ask_flux([reference("GitRepository", FLUX_NAMESPACE, FLUX_NAMESPACE)], 20)


def _write(folder: Path, built: bytes, learners: Iterable[bytes]) -> None:
    """Write the manifests that the cluster is started with. Objects of the Flux toolkit's own kinds
    go into the second file, which is applied when the cluster serves these kinds."""
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

    A node keeps the images that it was made with, and gets no others: a push would stop the running
    Flux and start no new one.
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
