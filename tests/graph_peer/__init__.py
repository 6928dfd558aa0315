"""A stand-in for Microsoft Entra ID and Microsoft Graph, written from Microsoft's published pages.

Where a page is vague the peer is the stricter one: what the service *may* refuse, the peer refuses. It knows
only what the recorder's OneDrive target may use; every other request is answered with 404 or 405.

- `entra.py`   logging in: <https://learn.microsoft.com/entra/identity-platform/>
- `rights.py`  what a token must carry for each request
- `drives.py`  drives, folders and files, kept as a folder on the disk so that tests can look into it
- `uploads.py` upload sessions: <https://learn.microsoft.com/graph/api/driveitem-createuploadsession>
- `graph.py`   addresses: <https://learn.microsoft.com/graph/onedrive-addressing-driveitems>
- `faults.py`  what a test can make go wrong, and when
- `server.py`  HTTP and TLS; `tls.py` the authority that signs the certificate
"""
