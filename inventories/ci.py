"""One lab on this machine for the length of a CI job: its name comes from the job, its port is one
that is free, and it has a lease. `SOPSLAB_FILE` may name a YAML file with settings of its own, and
`SOPSLAB_ROSTER` the learners of a class."""

from pyinfra.api.exceptions import PyinfraError

from sopslab.config.inputs import job_data
from sopslab.errors import InputError

try:
    ci = [("@local", job_data())]
except InputError as error:
    # pyinfra shows its own exception as one sentence, without a traceback.
    raise PyinfraError(str(error)) from None
