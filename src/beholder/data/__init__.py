"""Manifests, public data sets, leak checks and synthetic distortions."""
