"""How the recorder does: watched, and told to people, Prometheus, load balancers and systemd."""
