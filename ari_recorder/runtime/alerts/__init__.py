"""Alerts: what people are told by mail and webhook of conditions that begin, last and end."""
