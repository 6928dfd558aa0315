"""`python -m ari_recorder` is `ari-recorder`."""

from .cli import main

main()
