"""Explaining a network on photos of one's own: maps of several methods, scores, verdict, a page."""
