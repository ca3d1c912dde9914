"""Doctests have lines, too."""


def fetch(url):
    """Get something.

    >>> import requests
    >>> with requests.Session() as session:
    ...     pass
    >>> left = requests.Session()  # finds: unclosed-session in test_documented.fetch
    >>> left.close is None
    False
    """
