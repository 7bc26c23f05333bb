"""Kernels: who computes an attention. All are equal to `reference` in value and gradient."""
