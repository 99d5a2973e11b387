"""Run a verb of `sopslab` on the machine of each learner of a room.

pyinfra inventories/seats.py deploys/verb.py --data 'verb=["verify"]'
"""

from sopslab.run.session import enter_room
from tasks.room import run_verb

settings = enter_room()

run_verb(settings)
