"""A harmless deploy for the tests of the runner: three steps that make, each, one file.

`SOPSLAB_TEST_FAIL` names the step that fails, `SOPSLAB_TEST_WAIT` the one that waits for as long as
the file `waiting` exists.
"""

import os

from pyinfra import host
from pyinfra.api import operation

from sopslab.provision.command import Commands, refusal, script
from sopslab.lab.observe.folders import lab_folder
from sopslab.provision.deploys import step
from sopslab.provision.look import look
from sopslab.files.events import note
from sopslab.model.steps import Step
from sopslab.run.session import begin
from sopslab.config.settings import Settings

WAIT = """
touch "$1/waiting"
while [ -e "$1/waiting" ]; do sleep 0.05; done
"""


@operation()
def made(settings: Settings, step: str) -> Commands:
    """
    Have the folder of a step.

    + settings: the lab's settings
    + step: its name
    """
    folder = settings.model_copy(update={"lab": step})
    if look(folder, lab_folder):
        host.noop("it is there")
        return
    note(f"{step} was missing")
    if os.environ.get("SOPSLAB_TEST_FAIL") == step:
        yield refusal(f"{step} cannot be made: it's broken\ntry again")
        return
    if os.environ.get("SOPSLAB_TEST_WAIT") == step:
        yield script(WAIT, settings.root)
    yield script('mkdir -p "$1"', folder.lab_dir)


settings = begin()

for which in (Step.HOST, Step.KEYS, Step.CANARY):
    step(which)(made)(name=f"Make {which}", settings=settings, step=which.lower())
