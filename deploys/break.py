"""Break an environment to practise on, with the faults that are named or those that an exam draws.

pyinfra inventories/local.py deploys/break.py --data 'learners=["ada"]' \
    --data 'faults=["wrong-key"]'
"""

from sopslab.run.session import begin
from tasks.faults import inject_faults
from tasks.takeover import refuse_other

settings = begin()

refuse_other(settings)
inject_faults(settings)
