"""A deploy with a mistake in it, for the tests of the runner."""

raise RuntimeError("this deploy is broken")
