"""What was seen, examined part by part: each module yields the causes that its part shows.

Pure. An examination raises Undecided where it cannot go on for want of a look.
"""
