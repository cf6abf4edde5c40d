"""Boundaries of objects from class labels alone (paper section 3.3)."""
