"""Why a learner's secrets do not arrive, from the state of each link itself. Pure.

`seen` is what a look brings; `examination` says what it means, one part of the way after the other;
`diagnose` puts causes in order and leaves out what follows from them. What Flux reports is believed
only where nothing else shows it, and never repeated: it names one cause at a time, and some of its
texts mislead.
"""
