"""SSH: connections, host keys and the trust in them, tunnels through a jump host, and SFTP."""
