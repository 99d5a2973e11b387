"""What is wrong with what was seen: the only set of rules, for `verify`, `doctor` and `status`.
Pure.

Each module yields the causes of one part of the way. A rule judges each link itself. A report of
Flux is used only if nothing else shows the cause, and never repeated: it names one cause at a time,
and some of its texts mislead. A rule raises Undecided for what was not seen. `table` has the rules
in order, and leaves out what follows from another cause.
"""
