"""QuickXorHash, by which OneDrive for Business and SharePoint tell what they hold.

Microsoft's description: <https://learn.microsoft.com/onedrive/developer/code-snippets/quickxorhash>. Byte i
of the file is XORed into a register of 160 bits at bit 11·i, going round; at the end the length is XORed into
the last 64 bits. 160·11 is a multiple of 160: bytes 160 apart meet at the same place, and may meet before.

It finds every accident, but no malice: it is no cryptographic hash.
"""

from __future__ import annotations

import base64
from typing import IO

import numpy as np

BITS = 160
SHIFT = 11
BLOCK = BITS * 8192


def quick_xor_hash(stream: IO[bytes]) -> str:
    """The hash of what is left of a stream, in Base64 as Graph shows it."""
    columns = np.zeros(BITS, dtype=np.uint8)
    size = 0
    while chunk := stream.read(BLOCK):
        size += len(chunk)
        padded = chunk + bytes(-len(chunk) % BITS)
        rows = np.frombuffer(padded, dtype=np.uint8).reshape(-1, BITS)
        columns ^= np.bitwise_xor.reduce(rows, axis=0)
    register = size << (BITS - 64)
    for place, byte in enumerate(columns.tolist()):
        shifted = byte << (SHIFT * place % BITS)
        register ^= (shifted & ((1 << BITS) - 1)) | (shifted >> BITS)
    return base64.b64encode(register.to_bytes(BITS // 8, "little")).decode("ascii")
