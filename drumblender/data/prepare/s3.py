"""Buckets that speak the language of S3. Credentials go nowhere but to the client."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drumblender.data.prepare.storage import (
    BLOCK,
    KEY_NAMES,
    TIMEOUT_S,
    DroppedError,
    Stat,
    StorageError,
    Store,
    of_status,
)


class S3Store(Store):
    """A bucket of Cloudflare R2, Amazon S3 or anything that speaks their language.

    Args:
        endpoint: Address of the service; None for Amazon's own.
        bucket: Name of the bucket.

    Raises:
        StorageError: No credentials.
    """

    def __init__(self, endpoint: str | None, bucket: str) -> None:
        key_id, secret = _credentials(bucket)
        # boto3 takes 0.3 s to import and is needed for buckets only.
        import boto3
        from botocore.config import Config

        config = Config(
            request_checksum_calculation="when_required",  # R2 knows no others
            response_checksum_validation="when_required",
            retries={"max_attempts": 3, "mode": "standard"},
            connect_timeout=10,
            read_timeout=TIMEOUT_S,
            s3={"addressing_style": "path"},
        )
        self.bucket, self.place = bucket, f"{endpoint or 's3:/'}/{bucket}"
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            region_name="auto" if endpoint else None,
            config=config,
        )

    def stat(self, key: str) -> Stat:
        with self._errors(key):
            head = self._client.head_object(Bucket=self.bucket, Key=key)
        return Stat(head["ContentLength"], head["ETag"])

    def read(self, key: str, start: int, etag: str) -> Iterator[bytes]:
        with self._errors(key):
            found = self._client.get_object(
                Bucket=self.bucket, Key=key, Range=f"bytes={start}-", IfMatch=etag
            )
            yield from found["Body"].iter_chunks(BLOCK)

    def keys(self, prefix: str) -> Iterator[str]:
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                yield from (entry["Key"] for entry in page.get("Contents", ()))

    def upload(self, path: Path, key: str) -> str:
        with self._errors(key):
            self._client.upload_file(str(path), self.bucket, key)
        return f"{self.place}/{key}"

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Says in one line, with the address but without credentials, what a client error means."""
        from boto3.exceptions import S3UploadFailedError
        from botocore import exceptions as boto
        from urllib3.exceptions import HTTPError

        address = f"{self.place}/{key}"
        try:
            yield
        except boto.ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            raise of_status(status, address) from error
        except S3UploadFailedError as error:
            status = 403 if "AccessDenied" in str(error) else 404 if "NoSuchBucket" in str(error) else 0
            raise of_status(status, address) from error
        except (boto.HTTPClientError, boto.ConnectionError, boto.ResponseStreamingError) as error:
            raise DroppedError(f"{address}: no connection ({type(error).__name__}).") from error
        except (HTTPError, ConnectionError, boto.IncompleteReadError) as error:
            raise DroppedError(f"{address}: the connection broke ({type(error).__name__}).") from error


def _credentials(bucket: str) -> tuple[str, str]:
    from dotenv import dotenv_values, find_dotenv

    values = dotenv_values(find_dotenv(usecwd=True)) | os.environ
    found = tuple(values.get(name) or "" for name in KEY_NAMES)
    if not all(found):
        raise StorageError(
            f"No credentials for bucket {bucket!r}: set {' and '.join(KEY_NAMES)} in the environment or .env."
        )
    return found
