"""What every store must do: one suite, run on each by a subclass that says how to make a store.

It follows the docstrings of ``bokeh_server.store``. What only one store can do or suffer is in that store's own tests.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bokeh_server.core.log import Record, Stored
from bokeh_server.core.retention import Retention
from bokeh_server.errors import Conflict, NotFound, StoreFailed
from bokeh_server.store import Info, Store
from tests.store.histories import a_record


def with_a_store(scene: Callable[[Any, Store], Awaitable[None]]) -> Callable[[Any, Path], None]:
    """A test out of a coroutine that is given an open store."""

    def test(self: StoreContract, tmp_path: Path) -> None:
        async def play() -> None:
            async with self.make(tmp_path) as store:
                await scene(self, store)

        asyncio.run(play())

    test.__name__, test.__doc__ = scene.__name__, scene.__doc__
    return test


def line(document: str = "d1", title: str = "line", owner: str = "me", created: float = 1.5) -> Info:
    return Info(document, owner, title, created, created)


def several(document: str, first: int, last: int) -> list[Record]:
    return [a_record(document, seq) for seq in range(first, last + 1)]


class StoreContract(ABC):
    @abstractmethod
    def make(self, folder: Path) -> Store:
        """A store that is not open yet, without documents."""

    # Documents

    @with_a_store
    async def test_a_document_is_found_by_its_id_and_by_owner_and_title(self, store: Store) -> None:
        await store.create(line())
        assert await store.info("d1") == await store.find("me", "line") == Info("d1", "me", "line", 1.5, 1.5, 0, 1)

    @with_a_store
    async def test_what_is_not_there_is_none(self, store: Store) -> None:
        await store.create(line())
        assert await store.info("line") is None
        assert await store.find("you", "line") is None
        assert await store.load("d2") is None

    @with_a_store
    async def test_a_new_document_has_no_records_whatever_it_says(self, store: Store) -> None:
        await store.create(Info("d1", "me", "line", 1.0, 2.0, seq=7, epoch=3, kind="a plot", size=9))
        assert await store.info("d1") == Info("d1", "me", "line", 1.0, 2.0, seq=0, epoch=3, kind="a plot", size=0)
        assert await store.load("d1") == Stored(None, {}, [])

    @with_a_store
    async def test_it_tells_how_many_documents_it_has_and_how_large_they_are_together(self, store: Store) -> None:
        assert await store.extent() == (0, 0)
        await store.create(line())
        await store.create(line("d2", "other"))
        assert await store.extent() == (2, 0)
        records = [*several("d1", 1, 3), a_record("d2", 1)]
        await store.append(records, now=2.0)
        assert await store.extent() == (2, sum(len(record.body) for record in records))
        await store.delete("d1")
        assert await store.extent() == (1, len(records[-1].body))

    @with_a_store
    async def test_an_id_and_a_title_of_one_owner_are_taken_once(self, store: Store) -> None:
        await store.create(line())
        with pytest.raises(Conflict):
            await store.create(line(title="other"))
        with pytest.raises(Conflict):
            await store.create(line("d2"))
        await store.create(line("d2", owner="you"))
        assert [info.id for info in await store.documents()] == ["d1", "d2"]

    @with_a_store
    async def test_the_documents_of_an_owner_come_the_last_changed_first(self, store: Store) -> None:
        for document, created in (("d1", 5.0), ("d2", 7.0), ("d3", 6.0)):
            await store.create(line(document, document, created=created))
        await store.create(line("d4", owner="you", created=9.0))
        assert [info.id for info in await store.documents("me")] == ["d2", "d3", "d1"]
        await store.append([a_record("d1", 1)], now=8.0)
        assert [info.id for info in await store.documents("me")] == ["d1", "d2", "d3"]
        assert [info.id for info in await store.documents()] == ["d4", "d1", "d2", "d3"]
        assert await store.documents("nobody") == []
        assert [info.id for info in await store.documents("me", ["d4", "d2", "gone"])] == ["d4", "d1", "d2", "d3"]
        assert [info.id for info in await store.documents("you", {"d3"})] == ["d4", "d3"]

    @with_a_store
    async def test_a_document_is_renamed_and_its_old_title_is_free(self, store: Store) -> None:
        await store.create(line())
        await store.rename("d1", "täglich 📈")
        await store.rename("d1", "täglich 📈")
        assert await store.find("me", "täglich 📈") == line(title="täglich 📈")
        await store.create(line("d2"))

    @with_a_store
    async def test_a_rename_is_refused_where_the_title_is_taken_or_the_document_is_not_there(
        self, store: Store
    ) -> None:
        await store.create(line())
        await store.create(line("d2", "bars"))
        await store.create(line("d3", "dots", owner="you"))
        with pytest.raises(Conflict):
            await store.rename("d2", "line")
        with pytest.raises(NotFound):
            await store.rename("d4", "line")
        await store.rename("d2", "dots")
        assert await store.info("d2") == line("d2", "dots")

    @with_a_store
    async def test_a_document_is_described_also_after_it_was_changed(self, store: Store) -> None:
        for document in ("d1", "d2"):
            await store.create(line(document, document))
        await store.append(several("d1", 1, 2), now=3.0)
        before = await store.info("d1")
        assert before is not None
        for kind in ("2 plots", "", "1 plot, 3 widgets"):
            await store.describe("d1", kind)
            assert await store.info("d1") == replace(before, kind=kind)
        assert await store.info("d2") == line("d2", "d2")
        with pytest.raises(NotFound):
            await store.describe("d3", "1 plot")

    @with_a_store
    async def test_a_deleted_document_leaves_nothing_and_others_alone(self, store: Store) -> None:
        for document in ("d1", "d2"):
            await store.create(line(document, document))
            await store.append(several(document, 1, 3), now=2.0)
            await store.snapshot(a_record(document, 2, kind="replace"), {"zoe": 2})
        await store.delete("d1")
        assert await store.info("d1") is None
        assert await store.load("d1") is None
        left = await store.load("d2")
        assert left is not None
        assert left.records == several("d2", 3, 3)
        await store.create(line("d1", "d1"))
        assert await store.load("d1") == Stored(None, {}, [])

    @with_a_store
    async def test_what_is_not_there_can_not_be_deleted(self, store: Store) -> None:
        with pytest.raises(NotFound):
            await store.delete("d1")

    # Records

    @with_a_store
    async def test_records_come_back_in_order_exactly_as_appended(self, store: Store) -> None:
        await store.create(line())
        batch = [a_record("d1", 1, kind="replace"), a_record("d1", 2, size=300_000), a_record("d1", 3, epoch=2)]
        await store.append(batch[:1], now=3.0)
        await store.append(batch[1:], now=4.0)
        assert await store.load("d1") == Stored(None, {}, batch)

    @with_a_store
    async def test_an_append_moves_seq_epoch_size_and_time_of_its_document(self, store: Store) -> None:
        await store.create(line())
        batch = [a_record("d1", 1), a_record("d1", 2, epoch=4)]
        await store.append(batch, now=9.0)
        size = len(batch[0].body) + len(batch[1].body)
        assert await store.info("d1") == Info("d1", "me", "line", 1.5, 9.0, seq=2, epoch=4, size=size)

    @with_a_store
    async def test_a_batch_may_hold_records_of_several_documents(self, store: Store) -> None:
        for document in ("d1", "d2"):
            await store.create(line(document, document))
        first, second = several("d1", 1, 3), several("d2", 1, 2)
        await store.append([first[0], second[0], first[1], first[2], second[1]], now=2.0)
        assert await store.load("d1") == Stored(None, {}, first)
        assert await store.load("d2") == Stored(None, {}, second)

    @with_a_store
    async def test_an_empty_batch_changes_nothing(self, store: Store) -> None:
        await store.create(line())
        await store.append([], now=9.0)
        assert await store.info("d1") == line()

    @pytest.mark.parametrize(
        ("refused", "why"),
        [
            ([a_record("d1", 2)], "it is taken"),
            ([a_record("d1", 4)], "it leaves a gap"),
            ([a_record("d1", 3), a_record("d1", 5)], "there is a gap within the batch"),
            ([a_record("d1", 3), a_record("d1", 3)], "it is twice in the batch"),
            ([a_record("d2", 1), a_record("d1", 9)], "another document of the batch has a gap"),
            ([a_record("d2", 1), a_record("d3", 1)], "there is no such document"),
            ([a_record("d1", 3, epoch=1)], "the document has moved to a newer epoch"),
            ([a_record("d1", 3, epoch=3), a_record("d1", 4, epoch=2)], "the epoch goes back within the batch"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_batch_that_does_not_follow_the_log_is_refused_whole(
        self, refused: list[Record], why: str, tmp_path: Path
    ) -> None:
        async def play() -> None:
            async with self.make(tmp_path) as store:
                await store.create(line())
                await store.create(line("d2", "bars"))
                kept = [a_record("d1", 1), a_record("d1", 2, epoch=2)]
                await store.append(kept, now=2.0)
                before = await store.documents()
                with pytest.raises(StoreFailed, match="nothing was kept"):
                    await store.append(refused, now=3.0)
                assert await store.documents() == before
                assert await store.load("d1") == Stored(None, {}, kept)
                await store.append([a_record("d1", 3, epoch=2), a_record("d2", 1)], now=4.0)

        asyncio.run(play())

    @with_a_store
    async def test_appends_given_at_the_same_time_keep_their_order(self, store: Store) -> None:
        await store.create(line())
        batches = [several("d1", first, first + 2) for first in range(1, 90, 3)]
        await asyncio.gather(*(store.append(batch, now=2.0) for batch in batches))
        assert await store.load("d1") == Stored(None, {}, several("d1", 1, 90))

    # Snapshots

    @with_a_store
    async def test_a_snapshot_takes_the_place_of_the_records_up_to_its_seq(self, store: Store) -> None:
        await store.create(line())
        await store.append(several("d1", 1, 5), now=2.0)
        snapshot = a_record("d1", 3, size=5_000, kind="replace")
        await store.snapshot(snapshot, {"zoe": 7, "abe": 2})
        rest = several("d1", 4, 5)
        assert await store.load("d1") == Stored(snapshot, {"zoe": 7, "abe": 2}, rest)
        size = sum(len(record.body) for record in (snapshot, *rest))
        assert await store.info("d1") == Info("d1", "me", "line", 1.5, 2.0, seq=5, size=size)
        await store.append(several("d1", 6, 6), now=3.0)

    @with_a_store
    async def test_the_clients_of_a_snapshot_keep_their_order(self, store: Store) -> None:
        await store.create(line())
        await store.snapshot(a_record("d1", 0, kind="replace"), {"zoe": 1, "abe": 2, "Ünal": 3})
        stored = await store.load("d1")
        assert stored is not None
        assert [*stored.clients] == ["zoe", "abe", "Ünal"]

    @with_a_store
    async def test_a_newer_snapshot_takes_the_place_of_an_older_never_the_other_way(self, store: Store) -> None:
        await store.create(line())
        await store.append(several("d1", 1, 5), now=2.0)
        older, newer = a_record("d1", 3, kind="replace"), a_record("d1", 5, kind="replace")
        await store.snapshot(older, {"zoe": 1})
        await store.snapshot(newer, {"zoe": 2})
        await store.snapshot(older, {"zoe": 1})
        assert await store.load("d1") == Stored(newer, {"zoe": 2}, [])
        await store.snapshot(newer, {"zoe": 3})
        assert await store.load("d1") == Stored(newer, {"zoe": 3}, [])

    @with_a_store
    async def test_a_snapshot_beyond_the_log_or_of_no_document_is_refused(self, store: Store) -> None:
        await store.create(line())
        await store.append(several("d1", 1, 2), now=2.0)
        with pytest.raises(StoreFailed):
            await store.snapshot(a_record("d1", 3, kind="replace"), {})
        with pytest.raises(NotFound):
            await store.snapshot(a_record("d2", 0, kind="replace"), {})
        assert await store.load("d1") == Stored(None, {}, several("d1", 1, 2))

    @with_a_store
    async def test_a_large_snapshot_is_kept_as_a_small_one_and_holds_up_no_append(self, store: Store) -> None:
        await store.create(line())
        await store.append(several("d1", 1, 3), now=2.0)
        snapshots = [a_record("d1", seq, size=2_500_000 - seq, kind="replace") for seq in (1, 2, 3)]
        for at, snapshot in enumerate(snapshots):
            taken = asyncio.ensure_future(store.snapshot(snapshot, {"zoe": at}))
            for seq in range(4 + 5 * at, 9 + 5 * at):
                await store.append(several("d1", seq, seq), now=3.0)
            await taken
            await store.snapshot(snapshot, {"zoe": at + 1})
            rest = several("d1", snapshot.seq + 1, 8 + 5 * at)
            assert await store.load("d1") == Stored(snapshot, {"zoe": at + 1}, rest)
            info = await store.info("d1")
            assert info is not None
            assert info.size == sum(len(record.body) for record in (snapshot, *rest))
        await store.snapshot(a_record("d1", 18, kind="replace"), {})
        assert await store.load("d1") == Stored(a_record("d1", 18, kind="replace"), {}, [])

    @with_a_store
    async def test_a_document_that_is_deleted_while_a_large_snapshot_is_taken_leaves_nothing(
        self, store: Store
    ) -> None:
        await store.create(line())
        await store.append(several("d1", 1, 3), now=2.0)
        taken = asyncio.ensure_future(store.snapshot(a_record("d1", 3, size=2_500_000, kind="replace"), {}))
        await asyncio.sleep(0)
        await store.delete("d1")
        await asyncio.gather(taken, return_exceptions=True)
        await store.create(line())
        assert await store.load("d1") == Stored(None, {}, [])

    # Retention

    @with_a_store
    async def test_what_a_document_keeps_is_remembered_until_it_is_deleted(self, store: Store) -> None:
        await store.create(line())
        assert await store.retention("d1") == await store.retention("d2") == Retention()
        for retention in (Retention(5, 7.5), Retention(0, None), Retention()):
            await store.retain("d1", retention)
            assert await store.retention("d1") == retention
        with pytest.raises(NotFound):
            await store.retain("d2", Retention(5, 7.5))
        await store.retain("d1", Retention(5, 7.5))
        assert await store.info("d1") == line()
        await store.delete("d1")
        await store.create(line())
        assert await store.retention("d1") == Retention()

    @with_a_store
    async def test_what_was_loaded_is_the_callers_own(self, store: Store) -> None:
        await store.create(line())
        await store.append(several("d1", 1, 2), now=2.0)
        await store.snapshot(a_record("d1", 1, kind="replace"), {"zoe": 1})
        for _ in range(2):
            stored = await store.load("d1")
            assert stored == Stored(a_record("d1", 1, kind="replace"), {"zoe": 1}, several("d1", 2, 2))
            assert stored is not None
            stored.records.clear()
            stored.clients.clear()
