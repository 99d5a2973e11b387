"""Let commands in a user's shell find the programs of the lab's store."""

from __future__ import annotations

import contextlib
import os
import shutil

from sopslab.errors import LabError


def find_tools(*names: str) -> None:
    """Put the programs of the lab's store on this process's PATH, if one of `names` is not on it.

    If the lab's settings are not valid, PATH stays as it is: the code that needs a program reports
    that it is missing.
    """
    if all(map(shutil.which, names)):
        return
    # Settings take longer to import than a commit hook should take.
    from sopslab.config.inputs import local_settings

    with contextlib.suppress(LabError):
        os.environ["PATH"] = os.pathsep.join([local_settings().bin_dir, os.environ["PATH"]])
