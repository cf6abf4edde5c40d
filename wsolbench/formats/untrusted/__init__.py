"""Reading of untrusted files."""
