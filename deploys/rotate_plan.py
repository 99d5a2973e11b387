"""What `deploys/rotate.py` would do to each environment, said and not done.

pyinfra inventories/local.py deploys/rotate_plan.py --data cause=learner-key \
    --data incident=2026-11-25-lost-laptop --data 'subjects=["ada"]'
"""

from sopslab.run.session import begin
from tasks.rotate import foretell_rotation

settings = begin()

foretell_rotation(settings)
