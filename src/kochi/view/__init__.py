"""Alignments and training curves to look at: in the terminal, and as PNG, SVG or PDF."""
