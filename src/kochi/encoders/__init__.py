"""Encoders: one architecture a file. Each reads token ids and a mask and leaves a `Memory`."""
