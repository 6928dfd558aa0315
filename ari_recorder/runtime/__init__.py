"""The running recorder: one process, one worker for each call. `service.py` makes, joins and ends it all."""
