"""Data sets: a split joined to photos, and the ways into and out of the annotation file."""
