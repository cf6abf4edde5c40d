"""Entries, the tables made of them, and the page."""
