"""What leaked, what was done about it, and what is due: records without a value of any secret.

`records` and `registry` are pure; they say what stands in the platform repository's `docs`.
"""
