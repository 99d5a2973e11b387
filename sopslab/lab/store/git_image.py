"""The Git server's image, assembled from the store: its root file system, and programs."""

from __future__ import annotations

from sopslab.config.places import Lab
from sopslab.lab.store.containers import Container, base_image, image_bench
from sopslab.lab.store.tars import new_tar
from sopslab.model.recipes import GitImagePlan


def assemble(lab: Lab, plan: GitImagePlan, image: str, labels: dict[str, str]) -> None:
    """Make the image, and give it its name in Docker.

    + image: the name
    """
    with image_bench(lab) as place:
        container = Container(place, base_image(place, plan.base), "--network", "none")
        files = place.folder / "files.tar"
        with new_tar(files) as packed:
            for path, program in plan.programs.items():
                packed.file(path, place.store / program)
        container.unpack(files)
        container.commit(image, labels, "ENTRYPOINT []", 'CMD ["/bin/sh"]')
