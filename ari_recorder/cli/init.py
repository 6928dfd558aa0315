"""`ari-recorder init`: write a commented configuration to begin with."""
