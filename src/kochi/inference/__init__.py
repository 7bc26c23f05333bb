"""From sources to predictions: batches, strategies of decoding, alignments, timestamps."""
