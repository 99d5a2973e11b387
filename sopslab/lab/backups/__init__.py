"""Backups: a lab carried from one place to another in one encrypted file."""
