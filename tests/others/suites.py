"""The suites: published packages whose source distribution has its tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suite:
    """A package, and how its tests are run; several of anything are parted by blanks.

    Attributes:
        package: the requirement of the source distribution.
        needs: what its tests need besides, as requirements.
        tests: what is run of it, from the root of the source.
        arguments: of pytest, one by one.
    """

    package: str
    needs: str = ""
    tests: str = "tests"
    arguments: tuple[str, ...] = ()


# Most suites have settings for tools that are of no interest here.
PLAIN = ("-o", "addopts=")

SUITES: dict[str, Suite] = {
    "requests": Suite(
        "requests==2.34.2",
        needs="pytest<9 pytest-httpbin pytest-mock httpbin trustme PySocks chardet",
        arguments=PLAIN,
    ),
    # The server of its tests hangs on multipart requests now and then, with the plugin or without.
    "urllib3": Suite(
        "urllib3==2.5.0",
        needs="pytest<9 trio Quart quart-trio hypercorn httpx trustme PySocks h2 pytest-socket",
        tests=(
            "test/test_util.py test/test_response.py test/test_poolmanager.py test/test_connectionpool.py "
            "test/test_retry.py test/test_ssl.py test/with_dummyserver/test_poolmanager.py "
            "test/with_dummyserver/test_connectionpool.py test/with_dummyserver/test_chunked_transfer.py"
        ),
        arguments=("-k", "not multipart"),
    ),
    "requests-toolbelt": Suite(
        "requests-toolbelt==1.0.0",
        needs="pytest<9 betamax trustme pyopenssl",
        arguments=PLAIN,
    ),
    "responses": Suite(
        "responses==0.26.3",
        needs="pytest<9 pytest-asyncio pytest-httpserver pytest-cov tomli-w tomli types-PyYAML",
        tests="responses/tests",
    ),
    "requests-cache": Suite(
        "requests-cache==1.3.3",
        needs="pytest<9 pytest-xdist pytest-rerunfailures requests-mock responses timeout-decorator rich",
        tests="tests/unit",
        arguments=PLAIN,
    ),
    "requests-mock": Suite(
        "requests-mock==1.12.1",
        needs="pytest<9 testtools fixtures purl requests-futures",
    ),
    "httpx": Suite(
        "httpx==0.28.1",
        needs="pytest<9 httpx[http2,socks,brotli,cli,zstd] trio trustme uvicorn chardet anyio[trio]",
    ),
    "httpcore": Suite(
        "httpcore==1.0.9",
        needs="pytest<9 httpcore[asyncio,trio,http2,socks] pytest-trio pytest-httpbin werkzeug httpbin",
        arguments=("-o", "filterwarnings="),
    ),
    "aiohttp": Suite(
        "aiohttp==3.14.5",
        needs=(
            "pytest<9 pytest-asyncio pytest-mock pytest-xdist pytest-timeout pytest-codspeed coverage "
            "blockbuster freezegun trustme proxy.py python-on-whales isal zlib_ng Brotli"
        ),
        tests=(
            "tests/test_client_functional.py tests/test_client_session.py tests/test_client_response.py "
            "tests/test_client_request.py tests/test_connector.py"
        ),
        arguments=(*PLAIN, "-m", "not dev_mode and not autobahn"),
    ),
    "pytest-httpserver": Suite(
        "pytest-httpserver==1.2.0",
        needs="requests httpx toml",
        arguments=PLAIN,
    ),
    "pytest-httpx": Suite(
        "pytest-httpx==0.36.2",
        needs="pytest-asyncio",
    ),
    # Later ones have no tests in their source distribution.
    "docker": Suite(
        "docker==7.0.0",
        needs="pytest<9 paramiko pytest-timeout",
        tests="tests/unit",
    ),
    "botocore": Suite(
        "botocore==1.44.5",
        needs="pytest<9 jsonschema",
        tests="tests/unit/test_client.py tests/unit/test_http_session.py tests/unit/test_endpoint.py",
    ),
    "vcrpy": Suite(
        "vcrpy==9.4.2",
        needs="pytest<9 pytest-httpbin httpbin requests httpx httplib2 aiohttp pytest-aiohttp",
        arguments=(*PLAIN, "-m", "not online"),
    ),
    "betamax": Suite(
        "betamax==0.9.0",
        tests="tests/unit",
    ),
    "requests-futures": Suite(
        "requests-futures==1.1.0",
        needs="pytest-httpbin httpbin",
        arguments=PLAIN,
    ),
    "requests-oauthlib": Suite(
        "requests-oauthlib==2.0.0",
        needs="requests-mock mock",
        arguments=("--ignore=tests/examples",),
    ),
    "httplib2": Suite(
        "httplib2==0.32.1",
        needs="pytest<9 mock pytest-forked pytest-timeout cryptography six trustme PySocks",
        arguments=(
            *PLAIN,
            "--ignore=tests/_TODO_legacy",
        ),
    ),
    "google-auth": Suite(
        "google-auth==2.62.2",
        needs=(
            "pytest<9 mock requests aiohttp grpcio pyu2f freezegun responses urllib3 flask oauth2client "
            "pytest-localserver pyopenssl aioresponses pytest-asyncio pyjwt packaging"
        ),
        tests="tests/transport tests/oauth2 tests/compute_engine",
    ),
    "hvac": Suite(
        "hvac==2.4.0",
        needs="requests-mock parameterized pytest-mock mock",
        tests="tests/unit_tests",
        arguments=PLAIN,
    ),
    "anyio": Suite(
        "anyio==4.16.0",
        needs="trio trustme psutil pytest-timeout hypothesis exceptiongroup pytest-mock uvloop blockbuster",
        tests="tests/test_sockets.py tests/streams tests/test_from_thread.py tests/test_subprocesses.py",
    ),
    # It looks at what is logged by itself.
    "tornado": Suite(
        "tornado==6.6.1",
        tests=(
            "tornado/test/httpclient_test.py tornado/test/iostream_test.py tornado/test/tcpclient_test.py "
            "tornado/test/websocket_test.py"
        ),
        arguments=("-p", "no:logging"),
    ),
    "niquests": Suite(
        "niquests==3.21.2",
        needs=(
            "pytest<9 pytest-httpbin httpbin pytest-asyncio trustme cryptography werkzeug fastapi flask "
            "aiofiles PySocks"
        ),
        arguments=PLAIN,
    ),
    # The tests that are left out run pip.
    "httpie": Suite(
        "httpie==3.2.4",
        needs="pytest<8.4 pytest-httpbin httpbin responses pytest-mock werkzeug<2.1.0 flask<2.1",
        arguments=("--ignore=tests/test_plugins_cli.py", "--ignore=tests/test_httpie_cli.py"),
    ),
    "twine": Suite(
        "twine==7.0.0",
        needs="pretend pytest-socket build munch jaraco.envs portend",
        arguments=PLAIN,
    ),
    "zeep": Suite(
        "zeep==4.3.3",
        needs=(
            "pytest<9 requests-mock freezegun pretend aiohttp aioresponses pytest-asyncio httpx "
            "pytest-httpx xmlsec requests_toolbelt"
        ),
        arguments=PLAIN,
    ),
    "praw": Suite(
        "praw==8.0.3",
        needs="vcrpy requests",
        tests="tests/integration tests/unit",
    ),
    "python-gitlab": Suite(
        "python-gitlab==8.6.0",
        needs="responses respx trio anyio PyYaml pytest-console-scripts",
        tests="tests/unit",
    ),
    "gql": Suite(
        "gql==4.4.0",
        needs=("pytest<9 gql[all] pytest-asyncio pytest-console-scripts parse aiofiles vcrpy requests-mock responses"),
    ),
    "hishel": Suite(
        "hishel==2.0.0",
        needs=("anyio[trio] anysqlite fakeredis redis inline-snapshot time-machine httpx requests fastapi msgpack"),
        arguments=("--ignore-glob=*httpx2*",),
    ),
    "aioresponses": Suite(
        "aioresponses==0.7.9",
        needs="pytest<9 ddt yarl packaging pytest-asyncio",
        arguments=PLAIN,
    ),
    "tldextract": Suite(
        "tldextract==5.4.0",
        needs="responses pytest-mock syrupy filelock requests-file sybil",
    ),
    "prometheus_client": Suite(
        "prometheus_client==0.26.0",
        needs="twisted aiohttp asgiref pytest-benchmark Django",
    ),
    "paramiko": Suite(
        "paramiko==5.1.0",
        needs="pytest-relaxed icecream lexicon invoke",
        arguments=PLAIN,
    ),
    "websocket-client": Suite(
        "websocket-client==1.9.2",
        needs="python-socks",
        tests="websocket/tests",
    ),
    "requests-unixsocket": Suite(
        "requests-unixsocket==0.4.1",
        needs="pytest<9 waitress",
        tests="requests_unixsocket/tests",
        arguments=PLAIN,
    ),
    "geopy": Suite(
        "geopy==2.5.0",
        needs="pytest<9 pytest-aiohttp geopy[aiohttp,requests,timezone] async_generator docutils sphinx",
        tests="test/adapters",
    ),
}
