"""What leaked, what of it is still worth something, and how it is replaced.

Records hold no value of any secret. `records` and `credentials` are pure; they say what is in the
platform repository's `docs`.
"""
