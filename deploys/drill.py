"""Stage the chapter's leak in one environment, as a drill. The data `learners` names its learner.

pyinfra inventories/local.py deploys/drill.py --data 'learners=["ada"]'
"""

from sopslab.run.session import begin
from tasks.drill import deliver_drill, stage_leak
from tasks.reset import prove_reset, report_environments
from tasks.takeover import refuse_other

settings = begin()

refuse_other(settings)
stage_leak(settings)
deliver_drill(settings)
prove_reset(settings)
report_environments(settings)
