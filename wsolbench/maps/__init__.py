"""Maps made elsewhere: how values come into [0, 1], and how files become submissions."""
