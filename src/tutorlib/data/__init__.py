"""Data sets, embedded or downloaded with a checksum, and task distributions."""

from tutorlib.data.download import (
    ChecksumError,
    DataError,
    DataFormatError,
    DataUnavailableError,
    DownloadError,
    RemoteFile,
    fetch,
)
from tutorlib.data.images import ImageSet, load_images, pooled
from tutorlib.data.tabular import TableSet, load_digits, load_table

__all__ = [
    "ChecksumError",
    "DataError",
    "DataFormatError",
    "DataUnavailableError",
    "DownloadError",
    "ImageSet",
    "RemoteFile",
    "TableSet",
    "fetch",
    "load_digits",
    "load_images",
    "load_table",
    "pooled",
]
