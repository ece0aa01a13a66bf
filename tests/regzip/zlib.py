"""Packs what it is given with zlib, for the tests beside. It speaks as requests.go does; all it makes is bare deflate."""

import struct
import sys
import zlib

while head := sys.stdin.buffer.read(12):
    level, _, writes = struct.unpack("<iII", head)
    lengths = struct.unpack(f"<{writes}I", sys.stdin.buffer.read(4 * writes))
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(sys.stdin.buffer.read(length)) for length in lengths) + packer.flush()
    sys.stdout.buffer.write(struct.pack("<I", len(packed)) + packed)
    sys.stdout.buffer.flush()
