"""The first tokens of every vocabulary: padding, unknown, beginning and end of a sequence."""

PAD, UNK, BOS, EOS = range(4)
