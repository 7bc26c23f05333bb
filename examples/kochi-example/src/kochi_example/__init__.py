"""A score and an encoder for kochi, from outside."""
