"""The nouns every room speaks. Standard library only; no network, no file, no clock."""
