"""A room: a machine for each learner on the roster that `SOPSLAB_ROSTER` names, with the whole lab
on it. `SOPSLAB_FILE` may name a YAML file with settings of all of them, and `SOPSLAB_MACHINES`
where the machines come from if not from the roster (`@vagrant`, `@terraform/OUTPUT`)."""

from pyinfra.api.exceptions import PyinfraError

from sopslab.config.inputs import seats_data
from sopslab.errors import InputError
from sopslab.room.machines import known_machines

try:
    seats = [(f"@seat/{name}", data) for name, data in seats_data(known_machines()).items()]
except InputError as error:
    # pyinfra shows its own exception as one sentence, without a traceback.
    raise PyinfraError(str(error)) from None
