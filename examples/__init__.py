"""Models and tables for trying wsolbench out; run from the project's root."""
