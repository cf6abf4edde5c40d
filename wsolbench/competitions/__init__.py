"""Scoring programs for sites where competitions run, each in its site's layout."""
