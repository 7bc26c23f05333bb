"""What attention cures, costs and finds: one question a file, measured again by one command."""
