"""Prints the events of a folder as JSON lines, read from TensorFlow's definitions: needs Python's protobuf (python3-protobuf)."""
import glob
import json
import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

F = descriptor_pb2.FieldDescriptorProto


def message(name, *fields):
    """(name, number, type, message or None, repeated) as in tensorflow/core/util/event.proto and framework/summary.proto."""
    proto = descriptor_pb2.DescriptorProto(name=name)
    for field, number, kind, of, repeated in fields:
        label = F.LABEL_REPEATED if repeated else F.LABEL_OPTIONAL
        proto.field.add(name=field, number=number, type=kind, type_name=of and f".tensorflow.{of}", label=label)
    return proto


MESSAGES = [
    message("Value", ("tag", 1, F.TYPE_STRING, None, False), ("simple_value", 2, F.TYPE_FLOAT, None, False)),
    message("Summary", ("value", 1, F.TYPE_MESSAGE, "Value", True)),
    message("SessionLog", ("status", 1, F.TYPE_INT32, None, False)),
    message(
        "Event",
        ("wall_time", 1, F.TYPE_DOUBLE, None, False),
        ("step", 2, F.TYPE_INT64, None, False),
        ("file_version", 3, F.TYPE_STRING, None, False),
        ("summary", 5, F.TYPE_MESSAGE, "Summary", False),
        ("session_log", 7, F.TYPE_MESSAGE, "SessionLog", False),
    ),
]
FILE = descriptor_pb2.FileDescriptorProto(name="e.proto", package="tensorflow", syntax="proto3", message_type=MESSAGES)
POOL = descriptor_pool.DescriptorPool()
POOL.Add(FILE)
# Debian 12's protobuf has the latter alone, version 5 and later the former.
get_class = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory(POOL).GetPrototype
Event = get_class(POOL.FindMessageTypeByName("tensorflow.Event"))


def crc32c(data):
    """Bit by bit, the polynomial of Castagnoli reversed."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def check(data, masked):
    """Undoes the mask of lib/hash/crc32c.h."""
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    assert crc32c(data) == ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF, "wrong checksum"


for file in sorted(glob.glob(f"{sys.argv[1]}/*tfevents*")):
    data = open(file, "rb").read()
    place = 0
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        check(data[place : place + 8], struct.unpack_from("<I", data, place + 8)[0])
        body = data[place + 12 : place + 12 + length]
        check(body, struct.unpack_from("<I", data, place + 12 + length)[0])
        place += 16 + length
        event = Event.FromString(body)
        values = {value.tag: value.simple_value for value in event.summary.value}
        status = event.session_log.status if event.HasField("session_log") else None
        print(json.dumps([event.step, event.wall_time, event.file_version, status, values]))
