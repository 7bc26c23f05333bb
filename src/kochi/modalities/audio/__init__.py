"""Recordings, read as log-mel frames."""
