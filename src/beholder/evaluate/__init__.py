"""Correlation, bootstrap, and results as files."""
