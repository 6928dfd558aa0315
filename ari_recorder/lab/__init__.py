"""The laboratory: real Asterisks, a real SSH server and all they stand on, for the demo and the tests.

Standard library only, because it also sets up the machine before anything is installed. Everything is a
context manager, keeps to loopback and to its own run folder, waits with a deadline, and ends only what it
started. READ FIRST: `pbx.py`; what it stands on is `engine.py` and `images.py`.
"""
