from dataclasses import dataclass


@dataclass
class Holder:
    kind: str
    name: str
    fixture: int | None = None


class Search:
    def __init__(self, **k):
        pass

    def holder(self, o):
        return None
