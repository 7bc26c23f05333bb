"""Layers that encoders and decoders share: embeddings, positions, dropout, recurrent layers."""
