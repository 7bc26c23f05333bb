"""What `kochi init` does: look at data, guess what fits them, split them, write a run file."""
