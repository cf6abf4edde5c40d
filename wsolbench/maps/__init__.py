"""Maps made by other programs: normalisation to [0, 1], and conversion to submissions."""
