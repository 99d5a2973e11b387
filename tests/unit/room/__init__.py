"""Tests of what one machine asks of others over SSH."""
