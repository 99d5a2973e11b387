"""Put environments back to day one, or to a checkpoint of the chapter, and touch no other.

pyinfra inventories/local.py deploys/reset.py --data 'learners=["ada"]' --data checkpoint=start
"""

from sopslab.run.session import begin
from tasks.reset import prove_reset, report_environments, reset_environments, reset_repositories
from tasks.takeover import refuse_other

settings = begin()

refuse_other(settings)
reset_repositories(settings)
reset_environments(settings)
prove_reset(settings)
report_environments(settings)
