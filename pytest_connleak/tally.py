"""What all processes of a run found, and what comes of it: the gate's decision, the baseline, the reports."""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import baseline, files, formats, gate
from .baseline import Baseline
from .errors import SettingError
from .formats import github, terminal
from .report import Entry, Kind, Report, Step, merge, safe
from .settings import Settings

if TYPE_CHECKING:
    from .traffic import Traffic


class Tally:
    """Gathers the findings and the outcomes of the tests, from this process and from its workers.

    Raises:
        SettingError: if the baseline cannot be read.

    Attributes:
        report: the run; it is complete once ``close`` was called.
        usage_error: what a worker has to say of the command line or the markers.
    """

    def __init__(self, settings: Settings, root: str, kinds: tuple[Kind, ...]) -> None:
        self.report = Report(root=root, kinds=kinds, mode=settings.mode)
        self.usage_error = ""
        self._settings = settings
        self._baseline = _load(settings, root, [kind.name for kind in kinds])
        self._shards: dict[str, list[Entry]] = {}
        self._used_ignores: set[str] = set()
        self._gaps: dict[str, None] = {}
        self._written: list[terminal.Row] = []
        self._formats = {file.format: formats.named(file.format) for file in settings.reports}
        for chosen in self._formats.values():
            chosen.load()
        if settings.statistics:  # as above: the tests may change what imports need
            importlib.import_module(".hygiene", __package__)
        if settings.reports:
            importlib.import_module(".progress", __package__)

    def knows(self, fingerprint: str) -> bool:
        """Whether a finding fails nothing, since it is in the baseline or about to be."""
        return self._settings.update_baseline or self._baseline.covers(fingerprint)

    # --- what comes in --------------------------------------------------------------------------------

    def found(self, entries: Iterable[Entry], worker: str = "") -> None:
        """Take findings, of this process or of a worker."""
        self._shards.setdefault(worker, []).extend(entries)

    def reported(self, found: Iterable[Mapping[str, Any]], worker: str, *, rerun: bool) -> None:
        """Take the findings that came with the report of a test."""
        entries = [Entry.from_plain(plain) for plain in found]
        if rerun:  # pytest-rerunfailures: the last attempt tells
            entries = [e._replace(status="ignored", reason="the test was run again") for e in entries]
        self.found(entries, worker)

    def ended(self, nodeid: str, *, passed: bool) -> None:
        """A phase of a test is over."""
        tests = self.report.tests
        (tests.passed if passed else tests.others).add(safe(nodeid))

    def collected(self, *nodeids: str) -> None:
        """Tests were found; they may yet be left out."""
        self.report.tests.collected.update(map(safe, nodeids))

    def ran(self, step: Step) -> None:
        """A test is over, and this is how."""
        self.report.timeline.append(step)

    def watched(self, faults: Mapping[str, str], gaps: Iterable[str], used_ignores: Iterable[str]) -> None:
        """The monitor of this process is done."""
        self.report.faults.update({safe(part): safe(error) for part, error in faults.items()})
        self._gaps.update(dict.fromkeys(map(safe, gaps)))
        self._used_ignores.update(used_ignores)

    def counted(self, hosts: tuple[Traffic, ...]) -> None:
        """How the connections of this process, or of a worker, were used."""
        if hosts:
            from .traffic import total

            self.report.hosts = total((*self.report.hosts, *hosts))

    # --- from worker to controller --------------------------------------------------------------------

    def sent(self, entries: Iterable[Entry]) -> dict[str, Any]:
        """What a worker sends at its end, as plain data; ``entries`` are those that went with no test's report."""
        return {
            "entries": [entry.plain() for entry in entries],
            "collected": [*self.report.tests.collected],
            "others": [*self.report.tests.others],
            "faults": self.report.faults,
            "gaps": [*self._gaps],
            "used_ignores": sorted(self._used_ignores),
            "usage_error": self.usage_error,
            "hosts": [host.plain() for host in self.report.hosts],
        }

    def received(self, sent: Mapping[str, Any], worker: str) -> None:
        """Take what a worker has sent."""
        self.found((Entry.from_plain(plain) for plain in sent["entries"]), worker)
        self.report.tests.collected.update(sent["collected"])
        self.report.tests.others.update(sent["others"])
        self.watched(sent["faults"], sent["gaps"], sent["used_ignores"])
        self.usage_error = self.usage_error or sent["usage_error"]
        if sent["hosts"]:
            from .traffic import Traffic

            self.counted(tuple(map(Traffic.from_plain, sent["hosts"])))

    # --- the end --------------------------------------------------------------------------------------

    def close(self, order: Sequence[str], *, complete: bool) -> None:
        """Decide, and write the files.

        Args:
            order: the nodeids as they were collected, if that is known.
            complete: whether the run was asked for all tests of the project, and came to its end.
        """
        report, settings = self.report, self._settings
        report.tests.complete = complete
        report.entries = merge(self._shards.values(), order)
        if len({step.process for step in report.timeline}) > 1:  # the reports of workers do not come in this order
            report.timeline.sort(key=lambda step: step.ended)
        if report.tests.whole:
            report.unused_ignores = [
                safe(str(ignore)) for ignore in settings.ignores if str(ignore) not in self._used_ignores
            ]
        if settings.mode == "fail":
            report.gaps += self._gaps
        report.unchecked = [kind.name for kind in report.kinds if settings.level(kind.name) == "off"]
        if settings.update_baseline:
            self._write_baseline(self._baseline.updated(gate.seen_in(report), gate.ran_in(report)))
        elif settings.prune_baseline:
            self._write_baseline(self._baseline.pruned(gate.seen_in(report), gate.ran_in(report)))
        gate.decide(report, self._baseline, strict=settings.strict_baseline)
        if settings.reports:
            self._write_reports()

    def _write_reports(self) -> None:
        from .progress import Progress  # nobody else needs it

        with Progress("writing reports", len(self._settings.reports), lead="\n") as progress:
            for file in self._settings.reports:
                progress.step(file.path)
                try:
                    self._formats[file.format].write(self.report, file.path)
                except Exception as error:  # a full disk, or a mistake in a format: the run goes on
                    self._not_written(f"report {file.path}", error)

    def summary(self, *, verbose: bool) -> tuple[list[terminal.Row], str, list[str]]:
        """What the terminal shows at the end: the report, its last line, and annotations where GitHub reads them."""
        report = self.report
        last = terminal.counts(report) if report.entries or report.failures else ""
        annotations = github.render(report).splitlines() if github.wanted(os.environ) else []
        return [*terminal.summary(report, verbose=verbose), *self._written], last, annotations

    def statistics(self) -> list[terminal.Row]:
        """How the connections were used, if that is to be shown."""
        return [*terminal.statistics(self.report)] if self._settings.statistics else []

    def _write_baseline(self, new: Baseline) -> None:
        path = self._settings.baseline
        assert path is not None
        try:
            files.write(path, new.render())
        except OSError as error:
            self._not_written(f"baseline {path}", error)
        else:
            self._written = [terminal.baseline_written(safe(path), self._baseline.known.keys(), new.known.keys())]
            self._baseline = new

    def _not_written(self, what: str, error: Exception) -> None:
        """Who waits for the file must not take the run for a clean one."""
        if isinstance(error, OSError):  # a full disk, say; that is no fault of a part
            self.report.failures.append(safe(f"{what} was not written: {error}"))
            return
        self.report.faults[safe(what)] = safe(f"{type(error).__name__}: {error}")
        self.report.failures.append(safe(f"{what} was not written"))


def _load(settings: Settings, root: str, kinds: Collection[str]) -> Baseline:
    if settings.baseline is None:
        return Baseline()
    if not os.path.exists(settings.baseline):
        if settings.update_baseline:
            return Baseline(root=root)
        raise SettingError(f"baseline {settings.baseline}: there is no such file; --connleak-update-baseline writes it")
    try:
        return baseline.load(settings.baseline, root, kinds)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"baseline {settings.baseline}: cannot be read ({error})") from None
