"""Scoring programs for sites where competitions run, and files for a hub; one module a site."""
