"""Decoders: one architecture a file. Each writes the target while it looks at a `Memory`."""
