"""Asterisk's REST interface (ARI): a small typed client in ari-py's vocabulary, and its events.

`client.AriClient` sends requests, `connection.AriConnection` keeps the events coming,
`events.translate` turns their JSON into `capture.events`.
"""
