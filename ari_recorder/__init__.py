"""ari-recorder: call recording for Asterisk, sample-exact, crash-proof, verifiable by strangers."""

__version__ = "0.1.0"
