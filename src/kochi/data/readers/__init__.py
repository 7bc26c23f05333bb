"""Readers, which turn one side of the data into numbers: text, recordings, feature frames."""
