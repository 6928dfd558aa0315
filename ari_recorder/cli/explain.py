"""`ari-recorder explain`."""


def explain() -> None:
    """To come."""
