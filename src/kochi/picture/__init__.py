"""Pictures as a model reads them: pixels from files, how they are fitted, what is done to them."""
