"""The very last test: the fixtures of the session are torn down with it."""


def test_the_end():
    pass
