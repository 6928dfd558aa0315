"""Hundreds of calls while recorder, Asterisk, targets and disk fail at random: nothing may be lost.

`make test` runs the short form (test_soak.py), `make soak` the long one (`python -m tests.soak`).
"""
