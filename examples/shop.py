"""A small client of the shop, with the mistakes that everybody makes."""

import requests

_shared = None


class Client:
    def __init__(self, url):
        self.url = url
        self.session = requests.Session()

    def products(self):
        return self.session.get(f"{self.url}/products", timeout=5).json()

    def size_of_catalogue(self):
        response = self.session.get(f"{self.url}/catalogue", stream=True, timeout=5)
        return int(response.headers["Content-Length"])

    def close(self):
        self.session.close()


def shared_client(url):
    """One client for the life of the process: listed by the report, and no failure."""
    global _shared
    if _shared is None:
        _shared = Client(url)
    return _shared


def is_open(url):
    return requests.get(f"{url}/products").ok
