"""The program on the lab's machine: what is looked at there, and what is changed.

Every question is bounded in time. What an answer means, `checks` says.
"""
