"""elasticsearch: its pools are made with the client; ``close()`` and ``with`` are documented."""

import pytest
from elastic_transport import RequestsHttpNode
from elasticsearch import AsyncElasticsearch, Elasticsearch, helpers


@pytest.fixture(scope="session")
def address(services):
    return f"{services}/elasticsearch"


@pytest.fixture
def client(address):
    with Elasticsearch(address) as client:
        yield client


@pytest.fixture(scope="session")
def session_client(address):
    return Elasticsearch(address)  # finds: unclosed-pool in test_the_end


_global: dict = {}


def test_dropped(address):
    client = Elasticsearch(address)  # finds: unclosed-pool
    assert client.info()["cluster_name"] == "stub"


def test_never_used(address):
    Elasticsearch(address)


def test_closed(address):
    client = Elasticsearch(address)
    client.info()
    client.close()


def test_in_a_block(address):
    with Elasticsearch(address) as client:
        client.info()


def test_with_options(address):
    """They share the connections of the client that they are made of."""
    with Elasticsearch(address) as client:
        client.options(request_timeout=5).info()


def test_closed_by_its_options(address):
    client = Elasticsearch(address)
    other = client.options(request_timeout=5)
    other.info()
    other.close()


def test_over_requests(address):
    client = Elasticsearch(address, node_class=RequestsHttpNode)  # finds: unclosed-session
    client.info()


def test_over_requests_closed(address):
    with Elasticsearch(address, node_class=RequestsHttpNode) as client:
        client.info()


def test_two_nodes(address):
    client = Elasticsearch([address, address.replace("127.0.0.1", "localhost")])  # finds: unclosed-pool x2
    client.info()
    client.info()


def test_in_the_test_module(address):
    _global["client"] = Elasticsearch(address)  # finds: unclosed-pool
    _global["client"].info()


def test_in_a_session_fixture(session_client):
    session_client.info()


# --- many at once -------------------------------------------------------------------------------------------


def test_scrolled(client):
    assert len(list(helpers.scan(client, index="books", request_timeout=5))) == 3


def test_scrolled_in_part(client):
    next(helpers.scan(client, index="books", request_timeout=5))


def test_scrolled_without_a_limit(client):
    """Unless it is told, scan() sets aside the limit of its client."""
    assert len(list(helpers.scan(client, index="books"))) == 3  # finds: missing-timeout


def test_streamed(client):
    actions = ({"_index": "books", "number": number} for number in range(5))
    assert sum(ok for ok, _ in helpers.streaming_bulk(client, actions, chunk_size=2)) == 5


def test_streamed_in_part(client):
    actions = ({"_index": "books", "number": number} for number in range(5))
    next(helpers.streaming_bulk(client, actions, chunk_size=2))


def test_in_parallel(client):
    actions = ({"_index": "books", "number": number} for number in range(20))
    assert len(list(helpers.parallel_bulk(client, actions, chunk_size=2, thread_count=3))) == 20


# --- time ---------------------------------------------------------------------------------------------------


def test_no_limit(client):
    client.options(request_timeout=None).info()  # finds: missing-timeout


def test_client_without_a_limit(address):
    with Elasticsearch(address, request_timeout=None) as client:
        client.info()  # finds: missing-timeout


# --- asyncio ------------------------------------------------------------------------------------------------


async def test_async_dropped(address):
    client = AsyncElasticsearch(address)
    await client.info()  # finds: unclosed-session


async def test_async_closed(address):
    client = AsyncElasticsearch(address)
    await client.info()
    await client.close()


async def test_async_in_a_block(address):
    async with AsyncElasticsearch(address) as client:
        await client.info()


def test_the_end(session_client):
    _global.clear()
