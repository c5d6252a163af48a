"""Copies a tree with boto3's transfer manager, in an environment of its own.

boto3_copy.py ENDPOINT BUCKET PREFIX up|down FOLDER
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

endpoint, bucket, prefix, direction, name = sys.argv[1:]
folder = Path(name)
config = Config(s3={"addressing_style": "path"}, max_pool_connections=32)
client = boto3.client("s3", endpoint_url=endpoint, config=config)
transfer = TransferConfig(
    multipart_threshold=16 * 2**20, multipart_chunksize=16 * 2**20, max_concurrency=8
)


def up(path):
    key = f"{prefix}/{path.relative_to(folder)}"
    client.upload_file(str(path), bucket, key, Config=transfer)


def down(key):
    target = folder / key.removeprefix(f"{prefix}/")
    target.parent.mkdir(parents=True, exist_ok=True)
    client.download_file(bucket, key, str(target), Config=transfer)


with ThreadPoolExecutor(16) as pool:
    if direction == "up":
        list(pool.map(up, (path for path in folder.rglob("*") if path.is_file())))
    else:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        list(pool.map(down, (item["Key"] for page in pages for item in page["Contents"])))
