"""The lab's Git server: HTTP, passwords and limits in front of git http-backend, and its hook.

It runs inside the server's container, as the policy does: standard library and PyYAML only.
"""
