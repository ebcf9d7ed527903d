"""Files whatever they hold: what they are by their first bytes, how they are unpacked, and how they are written safely.

`signatures` names a file by how it begins; `packing` and `decompression` read what is compressed; `writing` replaces a
file at once or not at all; `digests` tell whether anything has changed. None of them knows of tables, words or models.
"""
