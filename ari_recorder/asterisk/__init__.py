"""The only room that knows Asterisk's wire formats: ARI in, the vocabulary of `capture` out."""
