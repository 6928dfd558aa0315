"""`ari-recorder check`."""


def check() -> None:
    """To come."""
