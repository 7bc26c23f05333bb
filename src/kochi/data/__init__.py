"""From files of pairs to batches of token ids: pairs, tokenizers, corpora, batches."""
