"""`ari-recorder explain`: which setting decides a call, and why."""
