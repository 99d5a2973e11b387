"""Operations on the registry from which a cluster pulls the lab's own image."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.settings import Settings
from sopslab.lab.act import registry as act
from sopslab.lab.observe.registry import pushed_image
from sopslab.provision.command import Commands, acting
from sopslab.provision.look import look


@operation()
def image(settings: Settings, image: str, made_of: str) -> Commands:
    """
    Push the Git server's image to the registry, and record its digest.

    + settings: the lab's settings, with `registry`
    + image: the image of the embedded server
    + made_of: the digest of that image and of the programs that are added to it
    """
    registry = settings.registry or ""
    found = look(settings, pushed_image, registry=registry, made_of=made_of)
    if found is not None:
        host.noop(f"{found} is there")
        return
    yield acting(settings, act.push, image=image, registry=registry, made_of=made_of)
