"""Sound as a model reads it: samples from files, log-mel frames, what is done to them."""
