"""Models: an encoder and a decoder, connected by a memory."""
