"""What may be committed: one policy for the commit hook, the Git server, CI and ``verify``.

It needs Python 3.11 and PyYAML only, since the Git server runs it from a mounted directory. It
fails closed: what it cannot read is a finding or ends in exit code 2. It never shows a value.
"""
