"""Example models and tables for wsolbench; run them from the project's root."""
