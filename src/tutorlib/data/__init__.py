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
from tutorlib.data.images import ImageSet, fixed_split, load_images, pooled
from tutorlib.data.tabular import DIGITS_TRAIN, TableSet, load_digits, load_table

__all__ = [
    "DIGITS_TRAIN",
    "ChecksumError",
    "DataError",
    "DataFormatError",
    "DataUnavailableError",
    "DownloadError",
    "ImageSet",
    "RemoteFile",
    "TableSet",
    "fetch",
    "fixed_split",
    "load_digits",
    "load_images",
    "load_table",
    "pooled",
]
