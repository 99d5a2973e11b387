"""A look at all seats at once, in a few questions to the cluster, and at the repositories on disk.

No value of a learner's Secret enters this process: kubectl leaves them out.
"""
