"""Instants to ``google.protobuf.Timestamp``."""

from calendar import timegm
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(instant: datetime | None) -> Timestamp | None:
    """The same instant. Records hold UTC only, so there is no zone to convert."""
    if instant is None:
        return None
    return Timestamp(seconds=timegm(instant.timetuple()), nanos=instant.microsecond * 1000)
