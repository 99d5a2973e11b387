"""Replace keys and values after an exposure, and prove that what leaked is worth nothing.

pyinfra inventories/local.py deploys/rotate.py --data cause=learner-key \
    --data incident=2026-11-25-lost-laptop --data 'learners=["ada"]'
"""

from sopslab.run.session import begin, given_values
from tasks.reset import report_environments
from tasks.rotate import (
    accept_both,
    conclude,
    deliver_content,
    prove,
    replace_content,
    replace_logins,
    report_values,
    retire_old,
    take_inventory,
)
from tasks.takeover import refuse_other

settings = begin()

refuse_other(settings)
take_inventory(settings)
accept_both(settings)
replace_content(settings, given_values(settings))
deliver_content(settings)
retire_old(settings)
replace_logins(settings)
prove(settings)
conclude(settings)
report_environments(settings)
report_values(settings)
