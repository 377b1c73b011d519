"""Writes safetensors.json: files of tensors by a reader and writer of their own. Run: python3 test/parity/safetensors.py

The first file is laid out as saveTensors lays out: large elements first, else in the order given, the head padded with
spaces to 8 bytes. The others have other forms that the format allows. Each is read back before it is stored.
"""
import base64
import json
import os
import struct

FORMATS = {"F32": "f", "I32": "i", "BOOL": "?"}
SIZES = {"F32": 4, "I32": 4, "BOOL": 1}
DTYPES = {"F32": "float32", "I32": "int32", "BOOL": "bool"}


def count(shape):
    size = 1
    for dim in shape:
        size *= dim
    return size


def pack(tensors, order, metadata=None, padding=8):
    """tensors: {name: (dtype, shape, values)}; order: names as their bytes stand."""
    head, data = {}, b""
    if metadata:
        head["__metadata__"] = metadata
    for name in order:
        dtype, shape, values = tensors[name]
        part = struct.pack(f"<{len(values)}{FORMATS[dtype]}", *values)
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % padding)
    return struct.pack("<Q", len(text)) + text + data


def unpack(file):
    (length,) = struct.unpack("<Q", file[:8])
    head = json.loads(file[8 : 8 + length])
    data = file[8 + length :]
    metadata = head.pop("__metadata__", {})
    tensors = {}
    for name, entry in head.items():
        begin, end = entry["data_offsets"]
        assert end - begin == count(entry["shape"]) * SIZES[entry["dtype"]]
        values = struct.unpack(f"<{count(entry['shape'])}{FORMATS[entry['dtype']]}", data[begin:end])
        tensors[name] = (entry["dtype"], entry["shape"], list(values))
    return tensors, metadata


SOME = {
    "layer.0.weight": ("F32", [2, 3], [0.5, -1.25, 3e38, -0.0, 1e-40, 7.0]),
    "isTrained": ("BOOL", [3], [True, False, True]),
    "step": ("I32", [], [-(2**31)]),
    "größe ✓": ("F32", [1], [0.1]),
    "nothing": ("F32", [0, 4], []),
    "rows": ("I32", [2, 1, 2], [1, -2, 3, 2**31 - 1]),
}
OURS = ["layer.0.weight", "step", "größe ✓", "nothing", "rows", "isTrained"]
FILES = [
    ("as saveTensors", pack(SOME, OURS, {"made by": "hand", "note": 'a "quoted" \\ text'})),
    ("in another order, without padding", pack(SOME, list(reversed(OURS)), None, 1)),
    ("padded to 64 bytes", pack(SOME, OURS, None, 64)),
    ("nothing at all", pack({}, [])),
]


def stored(title, file):
    tensors, metadata = unpack(file)
    listed = [
        # A float32 prints as the double it is, so that nothing is rounded twice.
        {"name": name, "dtype": DTYPES[dtype], "shape": shape, "values": [repr(float(value)) for value in values]}
        for name, (dtype, shape, values) in tensors.items()
    ]
    return {"title": title, "base64": base64.b64encode(file).decode(), "metadata": metadata, "tensors": listed}


target = os.path.join(os.path.dirname(os.path.abspath(__file__)), "safetensors.json")
with open(target, "w") as out:
    json.dump({"given": list(SOME), "files": [stored(*file) for file in FILES]}, out, separators=(",", ":"))
    out.write("\n")
