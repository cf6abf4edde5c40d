"""Maps that were made elsewhere: how their values come into [0, 1], and how they become submissions."""
