"""Sharing: who else is what to a document, for how long, and that it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bokeh_server.accounts.sharing import AT_ONCE, MOST_LINKS, MOST_SHOWN, Link, Sharing
from bokeh_server.core.authorise import Access, Role
from bokeh_server.errors import BadValue, Conflict, NotFound
from bokeh_server.store import Info, Ledger
from bokeh_server.store.schema import embedders, grants, links, published
from tests.accounts.ledgers import Clock, add_user, count, dump, on_both, on_memory

D = Info("d", "anna", "line", 0.0, 0.0)
E = Info("e", "anna", "bars", 0.0, 0.0)


async def opens(sharing: Sharing, text: str, *had: str) -> bool:
    """Whether the link opens once more, for a browser that ``had`` opened these."""
    try:
        await sharing.open_link(text, frozenset(had))
    except NotFound:
        return False
    return True


@on_both
async def test_a_document_is_its_owners_alone(ledger: Ledger, clock: Clock) -> None:
    assert await Sharing(ledger, clock).access(D) == Access("d", "anna")


@on_both
async def test_what_is_published_is_so_until_it_is_not(ledger: Ledger, clock: Clock) -> None:
    sharing = Sharing(ledger, clock)
    for _ in range(2):
        await sharing.publish("d")
    assert await sharing.access(D) == Access("d", "anna", published=True)
    assert await sharing.access(E) == Access("e", "anna")
    assert await sharing.published() == {"d"}
    for _ in range(2):
        await sharing.unpublish("d")
    assert await sharing.access(D) == Access("d", "anna")
    assert await sharing.published() == set()


@on_both
async def test_many_documents_are_looked_up_at_once_in_their_order(ledger: Ledger, clock: Clock) -> None:
    sharing = Sharing(ledger, clock)
    await add_user(ledger, "ben")
    await sharing.publish("d1")
    await sharing.grant(f"d{AT_ONCE}", "ben", Role.EDITOR)
    _, link = await sharing.make_link("d2", "", Role.VIEWER, seconds=10)
    infos = [Info(f"d{n}", "anna", "", 0.0, 0.0) for n in range(2 * AT_ONCE + 1)]
    found = await sharing.accesses(infos)
    assert [access.document for access in found] == [info.id for info in infos]
    shown = {at: access for at, access in enumerate(found) if access != Access(f"d{at}", "anna")}
    assert shown == {
        1: Access("d1", "anna", published=True),
        2: Access("d2", "anna", links={link.id: Role.VIEWER}, until=clock.now + 10),
        AT_ONCE: Access(f"d{AT_ONCE}", "anna", grants={"ben": Role.EDITOR}),
    }
    assert await sharing.accesses([]) == []


@on_both
async def test_what_a_disabled_user_owns_is_seen_by_named_users_only(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "anna", disabled=True)
    await add_user(ledger, "ben")
    sharing = Sharing(ledger, clock)
    for document in ("d", "f"):
        await sharing.publish(document)
        await sharing.grant(document, "ben", Role.EDITOR)
        await sharing.make_link(document, "", Role.EDITOR, seconds=10)
    annas, eves = await sharing.accesses([D, Info("f", "eve", "", 0.0, 0.0)])
    assert annas == Access("d", "anna", grants={"ben": Role.EDITOR})
    assert (eves.published, len(eves.links), eves.until) == (True, 1, clock.now + 10)


@on_memory
async def test_a_list_has_the_documents_of_others_that_came_last(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "ben")
    sharing = Sharing(ledger, clock)
    for n in range(MOST_SHOWN + 2):
        clock.now += 1
        await sharing.publish(f"p{n}")
        await sharing.grant(f"g{n}", "ben", Role.VIEWER)
    assert await sharing.published() == {f"p{n}" for n in range(2, MOST_SHOWN + 2)}
    assert await sharing.shared_with("ben") == {f"g{n}" for n in range(2, MOST_SHOWN + 2)}


# Grants


@on_both
async def test_a_user_has_one_role_in_a_document_the_one_given_last(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "ben")
    await add_user(ledger, "eva")
    sharing = Sharing(ledger, clock)
    await sharing.grant("d", "ben", Role.EDITOR)
    await sharing.grant("d", "ben", Role.VIEWER)
    await sharing.grant("d", " Eva ", Role.EDITOR)
    await sharing.grant("e", "ben", Role.EDITOR)
    assert await sharing.access(D) == Access("d", "anna", grants={"ben": Role.VIEWER, "eva": Role.EDITOR})
    assert await sharing.shared_with("ben") == {"d", "e"}
    await sharing.ungrant("d", "BEN")
    assert await sharing.access(D) == Access("d", "anna", grants={"eva": Role.EDITOR})
    assert await sharing.shared_with("ben") == {"e"}


@on_memory
async def test_nobody_becomes_an_owner_by_a_grant_or_a_link(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "ben")
    sharing = Sharing(ledger, clock)
    with pytest.raises(BadValue, match="one owner"):
        await sharing.grant("d", "ben", Role.OWNER)
    with pytest.raises(BadValue, match="viewer or an editor"):
        await sharing.make_link("d", "", Role.OWNER)
    assert await sharing.access(D) == Access("d", "anna")


@on_memory
async def test_nothing_is_granted_to_or_taken_from_who_is_not_there(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "ben")
    sharing = Sharing(ledger, clock)
    with pytest.raises(NotFound, match="There is no user 'nobody'"):
        await sharing.grant("d", "nobody", Role.VIEWER)
    with pytest.raises(NotFound, match="not shared with 'ben'"):
        await sharing.ungrant("d", "ben")
    await sharing.grant("e", "ben", Role.VIEWER)
    with pytest.raises(NotFound):
        await sharing.ungrant("d", "ben")


# Links


@on_both
async def test_a_link_gives_its_role_and_is_told_once(ledger: Ledger, clock: Clock) -> None:
    sharing = Sharing(ledger, clock)
    text, link = await sharing.make_link("d", "for the wall", Role.VIEWER)
    assert link == Link(link.id, "for the wall", Role.VIEWER, True, 0, None, clock.now, None)
    assert await sharing.access(D) == Access("d", "anna", links={link.id: Role.VIEWER})
    assert await sharing.find_link(text) == (link.id, "d")
    await sharing.open_link(text)
    assert [each.opened for each in await sharing.links("d")] == [1]
    assert text not in await dump(ledger, links)
    for guess in ("", "x", link.id, text[:-1], text + "x", "\udc80"):
        for asked in (sharing.find_link(guess), sharing.open_link(guess)):
            with pytest.raises(NotFound, match="not valid"):
                await asked


@on_memory
async def test_a_link_ends_for_those_who_have_opened_it_too(ledger: Ledger, clock: Clock) -> None:
    sharing = Sharing(ledger, clock)
    text, link = await sharing.make_link("d", "", Role.EDITOR, seconds=60)
    clock.now += 60
    assert (await sharing.access(D)).links == {link.id: Role.EDITOR}
    assert await opens(sharing, text)
    clock.now += 1
    assert await sharing.access(D) == Access("d", "anna")
    assert not await opens(sharing, text)
    assert [each.id for each in await sharing.links("d")] == [link.id]


@on_memory
async def test_access_says_when_the_next_of_its_links_ends(ledger: Ledger, clock: Clock) -> None:
    sharing, begin = Sharing(ledger, clock), clock.now
    await sharing.make_link("d", "for ever", Role.VIEWER)
    assert (await sharing.access(D)).until is None
    await sharing.make_link("d", "long", Role.VIEWER, seconds=200)
    _, short = await sharing.make_link("d", "short", Role.VIEWER, seconds=100)
    await sharing.make_link("e", "elsewhere", Role.VIEWER, seconds=1)
    assert (await sharing.access(D)).until == begin + 100
    await sharing.switch_link("d", short.id, False)
    assert (await sharing.access(D)).until == begin + 200
    clock.now += 201
    assert (await sharing.access(D)).until is None


@on_both
async def test_a_link_opens_so_often_and_those_who_came_by_it_stay(ledger: Ledger, clock: Clock) -> None:
    sharing = Sharing(ledger, clock)
    text, link = await sharing.make_link("d", "", Role.VIEWER, most=3)
    opened = await asyncio.gather(*(opens(sharing, text) for _ in range(6)))
    assert sorted(opened) == [False, False, False, True, True, True]
    assert (await sharing.access(D)).links == {link.id: Role.VIEWER}
    assert [(each.opened, each.most) for each in await sharing.links("d")] == [(3, 3)]


@on_both
async def test_a_browser_that_has_opened_a_link_opens_it_again_uncounted_as_long_as_it_holds(
    ledger: Ledger, clock: Clock
) -> None:
    sharing = Sharing(ledger, clock)
    text, link = await sharing.make_link("d", "", Role.VIEWER, most=1, seconds=60)
    assert await opens(sharing, text, "another")
    for _ in range(3):
        assert await opens(sharing, text, "another", link.id)
    assert [each.opened for each in await sharing.links("d")] == [1]
    assert not await opens(sharing, text, "another"), "another browser"
    await sharing.switch_link("d", link.id, False)
    assert not await opens(sharing, text, link.id)
    await sharing.switch_link("d", link.id, True)
    assert await opens(sharing, text, link.id)
    clock.now += 61
    assert not await opens(sharing, text, link.id)
    await sharing.remove_link("d", link.id)
    assert not await opens(sharing, text, link.id)


@on_both
async def test_a_link_is_switched_off_and_on_again_and_removed(ledger: Ledger, clock: Clock) -> None:
    sharing = Sharing(ledger, clock)
    text, link = await sharing.make_link("d", "", Role.VIEWER)
    await sharing.switch_link("d", link.id, False)
    assert await sharing.access(D) == Access("d", "anna")
    assert not await opens(sharing, text)
    assert [each.enabled for each in await sharing.links("d")] == [False]
    await sharing.switch_link("d", link.id, True)
    assert (await sharing.access(D)).links == {link.id: Role.VIEWER}
    assert await opens(sharing, text)
    await sharing.remove_link("d", link.id)
    assert not await opens(sharing, text)
    assert await sharing.access(D) == Access("d", "anna")
    for gone in (sharing.switch_link("d", link.id, True), sharing.remove_link("d", link.id)):
        with pytest.raises(NotFound, match="no such link"):
            await gone


@on_both
async def test_a_document_is_shared_by_a_link_that_was_opened_as_long_as_it_holds(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "ben")
    sharing = Sharing(ledger, clock)
    await sharing.grant("d", "ben", Role.VIEWER)
    _, first = await sharing.make_link("d", "", Role.EDITOR)
    _, link = await sharing.make_link("e", "", Role.VIEWER, seconds=60)
    _, _ = await sharing.make_link("f", "not opened", Role.VIEWER)
    opened = {first.id, link.id, "removed"}
    assert await sharing.shared_with("ben", opened) == await sharing.shared_with("eva", opened) == {"d", "e"}
    await sharing.switch_link("d", first.id, False)
    assert await sharing.shared_with("eva", opened) == {"e"}
    clock.now += 61
    assert await sharing.shared_with("ben", opened) == {"d"}


@on_memory
async def test_a_link_is_changed_at_its_own_document_only(ledger: Ledger, clock: Clock) -> None:
    sharing = Sharing(ledger, clock)
    text, link = await sharing.make_link("d", "", Role.VIEWER)
    for elsewhere in (sharing.switch_link("e", link.id, False), sharing.remove_link("e", link.id)):
        with pytest.raises(NotFound):
            await elsewhere
    assert await opens(sharing, text)
    assert await sharing.links("e") == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "x" * 101}, "at most 100"),
        ({"name": "a\tb"}, "printable"),
        ({"seconds": 0}, "more than 0"),
        ({"seconds": float("nan")}, "more than 0"),
        ({"seconds": 1e10}, "more than 0"),
        ({"most": 0}, "more than 0"),
        ({"most": -1}, "more than 0"),
        ({"most": 2**31}, "more than 0"),
        ({"most": 1, "embed": ["https://a.example"]}, "has no count"),
        ({"embed": ["https://a.example"] * 21}, "at most 20 sites"),
    ],
)
def test_a_link_that_can_not_be_is_refused(settings: dict[str, Any], words: str) -> None:
    @on_memory
    async def test_it(ledger: Ledger, clock: Clock) -> None:
        with pytest.raises(BadValue, match=words):
            await Sharing(ledger, clock).make_link("d", **{"name": "", "role": Role.VIEWER, **settings})
        assert await count(ledger, links) == 0

    test_it()


@on_memory
async def test_a_document_has_so_many_links_at_most(ledger: Ledger, clock: Clock) -> None:
    sharing = Sharing(ledger, clock)
    made = [await sharing.make_link("d", "", Role.VIEWER) for _ in range(MOST_LINKS)]
    with pytest.raises(Conflict, match="at most 100 links; remove some first"):
        await sharing.make_link("d", "", Role.VIEWER)
    await sharing.make_link("e", "", Role.VIEWER)
    await sharing.remove_link("d", made[0][1].id)
    await sharing.make_link("d", "", Role.VIEWER)


@on_both
async def test_a_link_is_for_the_pages_of_sites_and_they_go_with_it(ledger: Ledger, clock: Clock) -> None:
    sharing, sites = Sharing(ledger, clock), ("https://b.example", "https://a.example", "https://b.example")
    text, link = await sharing.make_link("d", "", Role.VIEWER, embed=sites)
    _, other = await sharing.make_link("d", "", Role.VIEWER, embed=sites[:1])
    _, elsewhere = await sharing.make_link("e", "", Role.VIEWER, embed=sites)
    _, plain = await sharing.make_link("e", "", Role.VIEWER)
    assert link.embed == ("https://a.example", "https://b.example")
    assert {each.id: each.embed for each in await sharing.links("d")} == {link.id: link.embed, other.id: sites[:1]}
    assert await sharing.embedding(link.id) == ("d", list(link.embed))
    assert await sharing.embedding(plain.id) == ("e", [])
    assert await sharing.embedding("none") == ("", [])
    assert await sharing.find_link(text) == (link.id, "d")
    await sharing.remove_link("d", link.id)
    assert await sharing.embedding(link.id) == ("", [])
    await sharing.forget("d")
    assert await sharing.embedding(other.id) == ("", [])
    assert await sharing.embedding(elsewhere.id) == ("e", list(link.embed))
    assert await count(ledger, embedders) == 2


@on_memory
async def test_the_newest_link_is_listed_first(ledger: Ledger, clock: Clock) -> None:
    sharing = Sharing(ledger, clock)
    for name in ("first", "second"):
        clock.now += 1
        await sharing.make_link("d", name, Role.VIEWER)
    assert [link.name for link in await sharing.links("d")] == ["second", "first"]


@on_both
async def test_a_document_that_is_deleted_leaves_nothing_shared(ledger: Ledger, clock: Clock) -> None:
    await add_user(ledger, "ben")
    sharing = Sharing(ledger, clock)
    for document in "de":
        await sharing.publish(document)
        await sharing.grant(document, "ben", Role.VIEWER)
        await sharing.make_link(document, "", Role.VIEWER)
    await sharing.forget("d")
    assert await sharing.access(D) == Access("d", "anna")
    assert [await count(ledger, table) for table in (published, grants, links)] == [1, 1, 1]
    assert (await sharing.access(E)).published
