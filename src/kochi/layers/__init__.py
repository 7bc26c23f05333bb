"""Small parts that encoders and decoders share: embeddings, positions, dropout, recurrent cells."""
