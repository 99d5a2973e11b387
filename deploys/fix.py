"""Undo what `deploys/break.py` injected, for the learners that are named or for everybody.

pyinfra inventories/local.py deploys/fix.py --data 'learners=["ada"]'
"""

from sopslab.run.session import begin
from tasks.faults import deliver_again, report_fix, undo_faults
from tasks.takeover import refuse_other

settings = begin()

refuse_other(settings)
undo_faults(settings)
deliver_again(settings)
report_fix(settings)
