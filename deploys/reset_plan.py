"""What `deploys/reset.py` would do to each environment, said and not done.

pyinfra inventories/local.py deploys/reset_plan.py --data 'subjects=["ada"]' --data checkpoint=start
"""

from sopslab.run.session import begin
from tasks.reset import foretell_reset

settings = begin()

foretell_reset(settings)
