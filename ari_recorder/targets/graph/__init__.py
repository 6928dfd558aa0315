"""What stands below `onedrive.py`: Microsoft Graph, its log-in, drives, uploads, hash and refusals."""
