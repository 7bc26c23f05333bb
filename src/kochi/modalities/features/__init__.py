"""Frames of features that somebody computed."""
