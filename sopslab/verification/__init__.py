"""`sopslab verify`: whether the learner's secret went the chapter's whole way, and if not, where.

`observation` looks at the machine, the repository and the cluster; `judgement` is pure and says
what it means; `checks` is the list of checks and their order; `report` shows the results. No value
of a Secret leaves the memory of this process: content is compared by its SHA-256, and messages of
other programs are never repeated, since they may quote what they refuse.
"""
