"""The drill: the chapter's incident, staged in one environment, and how far somebody has come.

`leak` names what is staged, `score` is pure and judges the steps, `observe` looks.
"""
