"""Whether the learner's secret went the chapter's whole way. Pure: observations in, a verdict out.

Content is compared by its SHA-256, and messages of other programs are never repeated, since they
may quote what they refuse.
"""
