"""What is looked at on the lab's machine, and the runs of checks over it.

Every question is bounded in time. What an answer means, `checks` says.
"""
