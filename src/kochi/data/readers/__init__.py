"""What turns one side of the data into numbers: text, recordings, frames of features."""
