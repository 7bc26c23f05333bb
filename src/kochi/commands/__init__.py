"""The command's verbs, one a file. Each imports what is heavy when it runs."""
