"""Precomputed feature frames."""
