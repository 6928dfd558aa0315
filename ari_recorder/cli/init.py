"""`ari-recorder init`."""


def init() -> None:
    """To come."""
