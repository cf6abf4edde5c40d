"""Data sets: a split of an annotation file joined to photos, and the ways into and out of the file."""
