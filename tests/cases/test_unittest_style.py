"""unittest: setup and cleanup of every width."""

import os
import unittest

import requests

URL = os.environ["CONNLEAK_TEST_URL"]


def setUpModule():
    global of_the_module
    of_the_module = requests.Session()


def tearDownModule():
    of_the_module.close()


class TestCleansUp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.of_the_class = requests.Session()
        cls.addClassCleanup(cls.of_the_class.close)

    def setUp(self):
        self.closed_in_tear_down = requests.Session()
        self.cleaned_up = requests.Session()
        self.addCleanup(self.cleaned_up.close)

    def tearDown(self):
        self.closed_in_tear_down.close()

    def test_all(self):
        for session in (self.of_the_class, self.closed_in_tear_down, self.cleaned_up, of_the_module):
            session.get(URL, timeout=5)

    def test_subtests(self):
        for n in range(2):
            with self.subTest(n=n):
                requests.Session().get(URL, timeout=5)  # finds: unclosed-session x2


class TestForgets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.of_the_class = requests.Session()  # finds: unclosed-session in TestForgets::test_b

    def setUp(self):
        self.mine = requests.Session()  # finds: unclosed-session in TestForgets::test_a, TestForgets::test_b

    def test_a(self):
        self.of_the_class.get(URL, timeout=5)

    def test_b(self):
        self.mine.get(URL, timeout=5)


class TestSkipped(unittest.TestCase):
    def test_skipped(self):
        raise unittest.SkipTest("not now")


class TestOpensLazily(unittest.TestCase):
    session = None

    @classmethod
    def tearDownClass(cls):
        cls.session.close()

    def get(self):
        if self.session is None:
            type(self).session = requests.Session()
        return self.session.get(URL, timeout=5)

    def test_a(self):
        assert self.get().ok

    def test_b(self):
        assert self.get().ok


class TestOpensLazilyAndForgets(unittest.TestCase):
    def test_a(self):
        type(self).session = requests.Session()  # finds: unclosed-session
