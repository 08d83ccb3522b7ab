from __future__ import annotations

import gzip
from datetime import timedelta

import pytest
from django.core import mail
from django.core.files.storage import storages
from django.utils import timezone

from accounts.models import Organization
from billing import mails, tasks
from billing.exports import jobs, runs, writers
from billing.exports.jobs import STORAGE
from billing.models import Export, ExportState
from tests.billing.cast import make_organization
from tests.billing.exports.conftest import Letters, ask_for

EACH_PIECE_A_PART = 0.0


def write_all(export: Export, part_s: float = 60.0) -> Export:
    while runs.run(export.pk, part_s=part_s):
        pass
    export.refresh_from_db()
    return export


def text_of(export: Export) -> str:
    stored = storages[STORAGE]
    return gzip.decompress(b"".join(stored.open(part["name"]).read() for part in export.parts)).decode()


def files_of(organization: Organization) -> list[str]:
    folders, _ = storages[STORAGE].listdir(organization.pk)
    return [
        name for folder in folders for name in storages[STORAGE].listdir(f"{organization.pk}/{folder}")[1]
    ]


def dies(letters: Letters, at: str) -> None:
    """Let the worker die, as a kill does: nothing after it runs, not even what cleans up."""

    def die(letter: str, export: Export) -> None:
        if letter == at:
            raise SystemExit

    letters.before = die


def lives(letters: Letters) -> None:
    letters.before = lambda letter, export: None


def lease_is_over(export: Export) -> None:
    Export.objects.filter(pk=export.pk).update(leased_until=timezone.now() - timedelta(seconds=1))


def test_an_export_is_written_and_stays_for_a_week(organization: Organization, letters: Letters) -> None:
    export = write_all(ask_for(organization, "abc"))

    assert text_of(export) == "abc"
    assert (export.state, export.rows_done, export.rows_about) == (ExportState.DONE, 3, 3)
    assert export.expires_at is not None
    assert export.ended_at is not None
    assert export.expires_at - export.ended_at == timedelta(days=7)


def test_parts_after_one_another_are_one_file(organization: Organization, letters: Letters) -> None:
    export = write_all(ask_for(organization, "abc"), EACH_PIECE_A_PART)

    assert text_of(export) == "abc"
    # The last one is empty: only then it is known that nothing follows.
    assert [part["rows"] for part in export.parts] == [1, 1, 1, 0]
    assert sum(part["size"] for part in export.parts) == export.size


def test_after_a_killed_worker_the_next_goes_on_after_the_last_part(
    organization: Organization, letters: Letters
) -> None:
    export = ask_for(organization, "abc")
    assert runs.run(export.pk, part_s=EACH_PIECE_A_PART)
    dies(letters, at="b")
    with pytest.raises(SystemExit):
        runs.run(export.pk)
    seen: list[str] = []
    letters.before = lambda letter, export: seen.append(letter)

    assert runs.run(export.pk) is False
    assert jobs.due() == []
    lease_is_over(export)
    assert jobs.due() == [export.pk]
    write_all(export)

    assert text_of(Export.objects.get()) == "abc"
    assert seen == ["b", "c"]


def test_what_a_killed_worker_has_stored_in_vain_is_deleted(
    organization: Organization, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = ask_for(organization, "abc")
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "finish", lambda *_, **__: dies_now())
        with pytest.raises(SystemExit):
            runs.run(export.pk)
    assert len(files_of(organization)) == 1
    lease_is_over(export)

    write_all(export)

    assert text_of(Export.objects.get()) == "abc"
    assert len(files_of(organization)) == 1


def dies_now() -> None:
    raise SystemExit


def test_an_export_that_kills_every_worker_is_given_up(organization: Organization, letters: Letters) -> None:
    export = ask_for(organization, "abc")
    dies(letters, at="b")
    for _ in range(jobs.MOST_LOSSES):
        with pytest.raises(SystemExit):
            runs.run(export.pk)
        lease_is_over(export)

    export = write_all(export)

    assert export.state == ExportState.FAILED
    assert "Ask for it again" in export.error
    assert "could not be written: Letters abc" in mail.outbox[0].body


def test_a_slow_worker_that_was_replaced_changes_nothing(
    organization: Organization, letters: Letters
) -> None:
    export = ask_for(organization, "ab")

    def another_is_quicker(letter: str, _: Export) -> None:
        lives(letters)
        lease_is_over(export)
        write_all(export)

    letters.before = another_is_quicker
    assert runs.run(export.pk) is False

    export.refresh_from_db()
    assert (export.state, text_of(export)) == (ExportState.DONE, "ab")
    assert len(files_of(organization)) == 1
    assert len(mail.outbox) == 1


def test_a_cancelled_export_stops_and_leaves_no_file(
    organization: Organization, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "REPORTED_EVERY_S", 0)
    export = ask_for(organization, "abc")
    assert runs.run(export.pk, part_s=EACH_PIECE_A_PART)
    seen = []

    def cancelled(letter: str, _: Export) -> None:
        seen.append(letter)
        jobs.cancel(export)

    letters.before = cancelled
    runs.run(export.pk)
    lease_is_over(export)
    jobs.clean()

    export.refresh_from_db()
    assert export.state == ExportState.CANCELLED
    assert seen == ["b"]
    assert files_of(organization) == []
    assert mail.outbox == []
    assert jobs.cancel(export) is False


def test_progress_is_seen_while_it_is_written(
    organization: Organization, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "REPORTED_EVERY_S", 0)
    seen: list[tuple[int, int | None]] = []
    letters.before = lambda letter, export: seen.append(
        Export.objects.values_list("rows_done", "rows_about").get()
    )

    write_all(ask_for(organization, "abc"))

    assert seen == [(0, 3), (1, 3), (2, 3)]


def test_an_error_of_ours_is_told_in_words(organization: Organization, letters: Letters) -> None:
    def broken(letter: str, export: Export) -> None:
        raise ValueError(letter)

    letters.before = broken

    export = write_all(ask_for(organization, "abc"))

    assert (export.state, len(mail.outbox)) == (ExportState.FAILED, 1)
    assert "went wrong" in export.error
    assert export.error in mail.outbox[0].body


def test_only_so_many_are_written_at_once(organization: Organization, letters: Letters) -> None:
    first = ask_for(organization, "a")
    ask_for(organization, "b")

    with pytest.raises(jobs.TooMany):
        ask_for(organization, "c")
    ask_for(make_organization("zoe@example.org"), "d")
    write_all(first)

    assert ask_for(organization, "e").state == ExportState.QUEUED


def test_an_unknown_kind_or_format_is_refused(organization: Organization, letters: Letters) -> None:
    by = organization.members.get()

    for kind, file_format in (("letters", "csv"), ("numbers", "txt")):
        with pytest.raises(writers.UnknownKind):
            jobs.ask(organization=organization, by=by, kind=kind, file_format=file_format, wanted={})


def test_a_week_later_the_files_are_gone_and_a_month_later_the_row(
    organization: Organization, letters: Letters
) -> None:
    export = write_all(ask_for(organization, "abc"))
    Export.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    tasks.clean_exports()

    export.refresh_from_db()
    assert (export.state, export.parts) == (ExportState.EXPIRED, [])
    assert files_of(organization) == []
    Export.objects.update(ended_at=timezone.now() - timedelta(days=31))
    tasks.clean_exports()
    assert not Export.objects.exists()


def test_the_mail_leads_to_a_page_behind_the_login_and_holds_no_secret(
    organization: Organization, letters: Letters
) -> None:
    export = write_all(ask_for(organization, "abc"))

    [sent] = mail.outbox
    assert sent.to == ["alice@example.org"]
    assert sent.subject == "Your export is ready"
    assert "Letters abc, 3 rows." in sent.body
    assert f"/dashboard/exports/{export.pk}/\n" in sent.body
    assert export.parts[0]["name"] not in sent.body


def test_a_mail_that_could_not_be_sent_is_sent_later_and_only_once(
    organization: Organization, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as patch:
        patch.setattr(mails, "get_connection", away)
        write_all(ask_for(organization, "abc"))
    assert mail.outbox == []

    tasks.run_exports()
    tasks.run_exports()

    assert len(mail.outbox) == 1
