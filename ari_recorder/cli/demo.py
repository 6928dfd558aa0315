"""`ari-recorder demo`."""


def demo() -> None:
    """To come."""
