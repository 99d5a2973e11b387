"""A room: the whole lab on the machine of each learner, delivered from here and made there.

pyinfra inventories/seats.py deploys/seats.py
"""

from sopslab.run.session import begin_room
from tasks.room import provide_seat

settings = begin_room()

provide_seat(settings)
