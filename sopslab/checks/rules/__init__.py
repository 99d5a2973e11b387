"""What is wrong with what was seen: the one set of rules for `verify`, `doctor` and `status`. Pure.

A module yields the causes that one part of the way shows. A rule looks at each link itself: what
Flux reports is believed only where nothing else shows it, and never repeated, since it names one
cause at a time, and some of its texts mislead. A rule raises Undecided for what was not seen.
`table` has the rules in order, and leaves out what follows from something else.
"""
