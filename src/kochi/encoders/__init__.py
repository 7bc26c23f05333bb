"""Encoders: one architecture a file. Each reads tokens or frames and leaves a `Memory`."""
