"""Audio recordings, represented as log-mel frames."""
