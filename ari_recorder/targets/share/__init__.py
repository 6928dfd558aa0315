"""What stands below `smb.py`: logging in to a share, its requests, their wire, and what a refusal means."""
