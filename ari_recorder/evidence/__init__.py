"""Evidence: keys, metadata, seal, chain of links, and verification without daemon, database or network."""
