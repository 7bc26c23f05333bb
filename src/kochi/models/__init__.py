"""Wiring only: memory between encoder and decoder, and the model that holds both."""
