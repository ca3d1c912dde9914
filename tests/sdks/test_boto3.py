"""boto3 against moto's server, which runs in a thread of this process."""

import contextlib
import gc
import os
import threading

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from moto import mock_aws
from moto.server import ThreadedMotoServer

os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}

SIZE = 3_000_000
_kept: list = []


@pytest.fixture(scope="session")
def endpoint():
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with contextlib.closing(boto3.client("s3", endpoint_url=f"http://{host}:{port}")) as s3:
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="big", Body=b"x" * SIZE)
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def session_client(endpoint):
    return boto3.client("s3", endpoint_url=endpoint)  # habit: unclosed-pool in test_the_end


@pytest.fixture(scope="session")
def closed_session_client(endpoint):
    client = boto3.client("s3", endpoint_url=endpoint)
    yield client
    client.close()


@pytest.fixture
def s3(endpoint):
    with contextlib.closing(boto3.client("s3", endpoint_url=endpoint)) as client:
        yield client


def test_dropped(endpoint):
    client = boto3.client("s3", endpoint_url=endpoint)  # habit: unclosed-pool
    assert client.list_buckets()["Buckets"]


def test_never_used(endpoint):
    boto3.client("s3", endpoint_url=endpoint)


def test_closed(endpoint):
    client = boto3.client("s3", endpoint_url=endpoint)
    client.list_buckets()
    client.close()


def test_resource(endpoint):
    resource = boto3.resource("s3", endpoint_url=endpoint)  # habit: unclosed-pool
    assert [bucket.name for bucket in resource.buckets.all()] == ["bucket"]


def test_resource_closed(endpoint):
    resource = boto3.resource("s3", endpoint_url=endpoint)
    assert list(resource.buckets.all())
    resource.meta.client.close()


def test_client_of_a_session(endpoint):
    session = boto3.session.Session()
    client = session.client("dynamodb", endpoint_url=endpoint)  # habit: unclosed-pool
    client.list_tables()


def test_kept(endpoint):
    _kept.append(boto3.client("sqs", endpoint_url=endpoint))  # habit: unclosed-pool
    _kept[-1].list_queues()


def test_kept_again(endpoint):
    _kept.append(boto3.client("sqs", endpoint_url=endpoint))  # habit: unclosed-pool
    _kept[-1].list_queues()


def test_in_a_session_fixture(session_client, closed_session_client):
    session_client.list_buckets()
    closed_session_client.list_buckets()


def test_in_threads(s3):
    def work():
        s3.list_objects_v2(Bucket="bucket")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_paginated(s3):
    assert [page["KeyCount"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket="bucket")] == [1]


def test_waited_for(s3):
    s3.get_waiter("bucket_exists").wait(Bucket="bucket")


def test_refused(s3):
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.list_objects_v2(Bucket="nowhere")


# --- bodies -------------------------------------------------------------------------------------------------


def test_body_unread(s3):
    answer = s3.get_object(Bucket="bucket", Key="big")  # finds: unclosed-response
    assert answer["ContentLength"] == SIZE


def test_body_read_in_part(s3):
    body = s3.get_object(Bucket="bucket", Key="big")["Body"]  # finds: unclosed-response
    assert body.read(10)


def test_body_read(s3):
    assert len(s3.get_object(Bucket="bucket", Key="big")["Body"].read()) == SIZE


def test_body_read_in_chunks(s3):
    body = s3.get_object(Bucket="bucket", Key="big")["Body"]
    assert sum(map(len, body.iter_chunks(100_000))) == SIZE


def test_body_closed(s3):
    body = s3.get_object(Bucket="bucket", Key="big")["Body"]
    body.read(10)
    body.close()


def test_body_in_a_block(s3):
    with s3.get_object(Bucket="bucket", Key="big")["Body"] as body:
        body.read(10)


def test_body_kept_after_it_was_read(s3):
    _kept.append(s3.get_object(Bucket="bucket", Key="big"))
    _kept[-1]["Body"].read()


def test_object_of_a_resource_unread(endpoint):
    resource = boto3.resource("s3", endpoint_url=endpoint)
    resource.Object("bucket", "big").get()  # finds: unclosed-response
    resource.meta.client.close()


def test_downloaded(s3, tmp_path):
    s3.download_file("bucket", "big", str(tmp_path / "big"))
    assert (tmp_path / "big").stat().st_size == SIZE


def test_uploaded(s3, tmp_path):
    (tmp_path / "small").write_bytes(b"x" * 100)
    s3.upload_file(str(tmp_path / "small"), "bucket", "small")
    s3.delete_object(Bucket="bucket", Key="small")


# --- time ---------------------------------------------------------------------------------------------------


def test_limits_of_a_config(endpoint):
    config = Config(connect_timeout=1, read_timeout=2)
    with contextlib.closing(boto3.client("s3", endpoint_url=endpoint, config=config)) as client:
        client.list_buckets()


def test_no_limit_on_reading(endpoint):
    config = Config(read_timeout=None)
    with contextlib.closing(boto3.client("s3", endpoint_url=endpoint, config=config)) as client:
        client.list_buckets()  # finds: missing-timeout


# --- mocks --------------------------------------------------------------------------------------------------


@mock_aws
def test_mocked():
    client = boto3.client("s3")
    client.create_bucket(Bucket="mocked")
    client.put_object(Bucket="mocked", Key="key", Body=b"x")
    client.get_object(Bucket="mocked", Key="key")


def test_stubbed():
    client = boto3.client("sqs")
    with Stubber(client) as stubber:
        stubber.add_response("list_queues", {"QueueUrls": []})
        client.list_queues()


def test_the_end(session_client):
    _kept.clear()
    gc.collect()
