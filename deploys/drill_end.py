"""End a drill: put the environment back as it was, with nothing of the leak in its history.

pyinfra inventories/local.py deploys/drill_end.py --data 'learners=["ada"]'
"""

from sopslab.run.session import begin
from tasks.drill import deliver_drill, end_leak
from tasks.reset import prove_reset, report_environments
from tasks.takeover import refuse_other

settings = begin()

refuse_other(settings)
end_leak(settings)
deliver_drill(settings)
prove_reset(settings)
report_environments(settings)
