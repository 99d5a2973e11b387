"""The class at a glance: how far each learner is, seen from the lab's own machine.

`observe` looks at all seats at once: a few questions to the cluster, the bare repositories on disk,
one run of the policy over all of them. `judge` is pure and says what it means, with the judgements
of `sopslab.verification`; `show` makes a table, CSV or JSON of it. No value of a learner's Secret
enters this process: kubectl leaves them out.
"""
