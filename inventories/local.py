"""One lab on this machine. `SOPSLAB_FILE` may name a YAML file with settings of its own."""

import os

from sopslab.labfile import read_lab_file

local = [("@local", read_lab_file(os.environ.get("SOPSLAB_FILE")))]
