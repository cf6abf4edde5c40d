"""Files that come from strangers."""
