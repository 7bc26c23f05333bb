"""Detect what a user's data are, split them, and write a run file: `kochi init`."""
