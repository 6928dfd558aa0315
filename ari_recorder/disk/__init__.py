"""The machine's disk: writes that survive a power cut, hashes of what lies there, and the room left."""
