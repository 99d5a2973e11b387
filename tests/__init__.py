"""The tests: unit/ and deploy/ need no Docker, artifacts/ and cluster/ are the real thing."""
