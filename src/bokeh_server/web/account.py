"""Accounts by the API: log in and out, one's own password, logins and tokens; and what administrators do.

Browsers get a cookie, programs a token; neither route gives the other. On a server without accounts all of it is
refused with one line.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

import msgspec

from bokeh_server.accounts.logins import LONGEST
from bokeh_server.accounts.sharing import NO_LINK
from bokeh_server.accounts.tokens import Token
from bokeh_server.accounts.users import Proof
from bokeh_server.core.authorise import Scope
from bokeh_server.errors import Forbidden, NotFound
from bokeh_server.web import headers
from bokeh_server.web.api import answer
from bokeh_server.web.http import Request, Response, parse_json
from bokeh_server.web.share import DONE, ensure_no_more
from bokeh_server.web.site import Site

NO_ACCOUNTS = "This server has no accounts, everybody is 'defaultuser'; start it with -m to give people accounts."
HOSTED = "The application that this server is part of says who people are: log in and out there."
BODY = 16 * 1024


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a log-in."""

    username: str
    password: str


class Registration(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a registration."""

    username: str
    password: str
    invitation: str | None = None


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a change of password."""

    old: str
    new: str


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a new token. ``document``: the id of the only one it is good for; ``seconds``: how long it lives."""

    name: str
    scopes: list[Scope]
    document: str | None = None
    seconds: float | None = None


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a new account, made by an administrator."""

    username: str
    password: str
    admin: bool = False


class UserChange(msgspec.Struct, forbid_unknown_fields=True):
    """What an administrator may change of an account; what is left out stays."""

    disabled: bool | None = None
    admin: bool | None = None
    password: str | None = None


class NewInvitation(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a new invitation."""

    admin: bool = False


class OpenLink(msgspec.Struct, forbid_unknown_fields=True):
    """Body that opens a link."""

    key: str


async def body(site: Site, request: Request, kind: type[Any]) -> Any:
    """The JSON body; ``Forbidden`` on a server without accounts."""
    ensure_accounts(site)
    return parse_json(await request.read(BODY), kind)


def ensure_accounts(site: Site) -> None:
    """``Forbidden`` on a server without accounts."""
    if not site.config.multi_user:
        raise Forbidden(NO_ACCOUNTS)


# Coming and going


async def log_in(site: Site, request: Request) -> Response:
    """Log this browser in: it gets a cookie. Without accounts, ``defaultuser`` has the server's token as password."""
    if site.shared_token is not None:
        shown: Credentials = parse_json(await request.read(BODY), Credentials)
        site.shared_token.actor(shown.password)
        return with_cookie(site, request, DONE, site.shared_token.cookie)
    given: Credentials = await body(site, request, Credentials)
    before = request.cookies.get(site.cookie(request))
    key = await site.accounts.log_in(
        given.username, given.password, address=request.client, agent=request.agent, before=before
    )
    return with_cookie(site, request, DONE, key)


async def register(site: Site, request: Request) -> Response:
    """Make an account, and log this browser in: it gets a cookie."""
    given: Registration = await body(site, request, Registration)
    proof = await new_user(site, request, given)
    before = request.cookies.get(site.cookie(request))
    key = await site.accounts.open(proof, request.agent, before)
    return with_cookie(site, request, Response(201, headers=headers.data()), key)


async def log_out(site: Site, request: Request) -> Response:
    """End the login or the token that this request came with; its sockets are closed."""
    ensure_accounts(site)
    await site.accounts.log_out(request.actor)
    return with_cookie(site, request, DONE, None)


async def log_out_everywhere(site: Site, request: Request) -> Response:
    """End all logins of the user and all tokens that programs got for his password; their sockets are closed."""
    await site.accounts.log_out_everywhere(request.actor)
    return with_cookie(site, request, DONE, None)


async def open_link(site: Site, request: Request) -> Response:
    """Open a link to a document: this browser gets a cookie, and the place to go.

    One that it has open already is not counted again. Who has the token of a server without accounts keeps his cookie:
    he may see everything.
    """
    given: OpenLink = parse_json(await request.read(BODY), OpenLink)
    here = request.cookies.get(site.cookie(request))
    link, document = await site.accounts.sharing.find_link(given.key)
    info, _ = await site.hub.look("", document)
    if info is None or link not in (await site.hub.access_of(info)).links:  # it has ended, or its owner is disabled
        raise NotFound(NO_LINK)
    await site.accounts.sharing.open_link(given.key, (await site.accounts.logins.actor(here or "")).links)
    found = answer({"location": f"{request.prefix}/bokeh/doc/{document}"})
    if site.shared_token is not None and request.actor.name:
        return found
    key = await site.accounts.logins.open_link(here, link, request.agent)
    return found if key is None else with_cookie(site, request, found, key)


def with_cookie(site: Site, request: Request, response: Response, key: str | None) -> Response:
    """The answer with our cookie: no script reads it, no other site's request carries it. None takes it away."""
    name, secure = site.cookie(request), (site.origin(request) or "").startswith("https")
    life = LONGEST if key is not None else 0
    flags = f"Path=/; Max-Age={life:.0f}; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
    cookie = ("Set-Cookie", f"{name}={key or ''}; {flags}")
    return Response(response.status, response.body, response.content_type, (*response.headers, cookie))


async def token_by_login(site: Site, request: Request) -> Response:
    """Log a program in: it gets a token."""
    given: Credentials = await body(site, request, Credentials)
    proof = await site.accounts.users.log_in(given.username, given.password, address=request.client)
    return answer({"username": proof.user.name, "token": await site.accounts.token_for(proof, request.agent)})


async def token_by_registration(site: Site, request: Request) -> Response:
    """Make an account, and log a program in: it gets a token."""
    proof = await new_user(site, request, await body(site, request, Registration))
    return answer({"username": proof.user.name, "token": await site.accounts.token_for(proof, request.agent)}, 201)


async def new_user(site: Site, request: Request, given: Registration) -> Proof:
    """Make the account that is asked for."""
    return await site.accounts.users.register(
        given.username, given.password, invitation=given.invitation, address=request.client
    )


# One's own account


async def account(site: Site, request: Request) -> Response:
    """Who this is."""
    actor = request.actor
    return answer({"username": actor.name, "admin": actor.admin, "scopes": sorted(actor.scopes)})


async def put_password(site: Site, request: Request) -> Response:
    """Change one's password; what was opened with the old one ends, but this login and the tokens one made."""
    given: NewPassword = await body(site, request, NewPassword)
    await site.accounts.change_password(request.actor, given.old, given.new, address=request.client)
    return DONE


async def logins(site: Site, request: Request) -> Response:
    """The browsers in which the user is logged in, the last used first."""
    found = await site.accounts.logins.of(request.actor.name)
    here = request.actor.credential
    return answer([{**asdict(login), "here": here == f"login:{login.id}"} for login in found])


async def delete_login(site: Site, request: Request) -> Response:
    """Log one browser out; its sockets are closed."""
    await site.accounts.close_login(request.actor.name, unquote(request.parameters["login"]))
    return DONE


def described(token: Token) -> dict[str, Any]:
    """A token as lists show it."""
    return {**asdict(token), "scopes": sorted(token.scopes)}


async def tokens(site: Site, request: Request) -> Response:
    """The user's tokens, the newest first."""
    return answer([described(token) for token in await site.accounts.tokens.of(request.actor.name)])


async def post_token(site: Site, request: Request) -> Response:
    """A new token for a program; ``token`` is told only now."""
    new: NewToken = await body(site, request, NewToken)
    actor, document = request.actor, None
    ensure_no_more(actor, frozenset(new.scopes), new.seconds)
    if new.document is not None:
        found, _ = await site.find(actor, new.document)
        if found is None:
            raise NotFound(f"There is no document {new.document[: site.limits.title]!r}.")
        document = found.id
    more = {"document": document, "seconds": new.seconds, "by": actor.credential}
    text, token = await site.accounts.tokens.make(actor.name, new.name, new.scopes, **more)  # type: ignore[arg-type]
    return answer({**described(token), "token": text}, 201)


async def delete_token(site: Site, request: Request) -> Response:
    """Revoke a token; its sockets are closed."""
    await site.accounts.revoke_token(request.actor.name, unquote(request.parameters["token"]))
    return DONE


# What administrators do


async def users(site: Site, request: Request) -> Response:
    """All accounts, and what each stores."""
    found = await site.accounts.users.all()
    return answer([{**asdict(user), "documents": documents, "size": size} for user, documents, size in found])


async def post_user(site: Site, request: Request) -> Response:
    """A new account."""
    new: NewUser = await body(site, request, NewUser)
    ensure_no_more(request.actor)
    by = request.actor.credential
    made = await site.accounts.users.create(new.username, new.password, admin=new.admin, by=by)
    return answer(asdict(made), 201)


async def patch_user(site: Site, request: Request) -> Response:
    """Disable an account or let it in again, make it an administrator, give it another password.

    With another password all its logins and tokens end.
    """
    change: UserChange = await body(site, request, UserChange)
    if change.password is not None and site.config.identified:
        raise Forbidden(HOSTED)
    if change.password is not None or change.admin:
        ensure_no_more(request.actor)
    name = (await site.accounts.users.find(unquote(request.parameters["user"]))).name
    owned = [] if change.disabled is None else await site.hub.documents(name)
    await site.accounts.change_user(name, **msgspec.structs.asdict(change), owned=owned, by=request.actor.credential)
    return answer(asdict(await site.accounts.users.find(name)))


async def user_documents(site: Site, request: Request) -> Response:
    """What a user stores: titles and sizes."""
    user = await site.accounts.users.find(unquote(request.parameters["user"]))
    found = await site.hub.documents(user.name)
    return answer([{"id": i.id, "title": i.title, "kind": i.kind, "size": i.size, "changed": i.changed} for i in found])


async def invitations(site: Site, request: Request) -> Response:
    """Invitations that nobody has used yet."""
    return answer([asdict(invitation) for invitation in await site.accounts.users.invitations()])


async def post_invitation(site: Site, request: Request) -> Response:
    """A new invitation; ``url`` is told only now, and good once."""
    new: NewInvitation = await body(site, request, NewInvitation)
    ensure_no_more(request.actor)
    by = request.actor.credential
    key, made = await site.accounts.users.invite(request.actor.name, admin=new.admin, by=by)
    return answer({**asdict(made), "url": f"{site.url_for(request)}bokeh/register#{key}"}, 201)


async def delete_invitation(site: Site, request: Request) -> Response:
    """Take an invitation back."""
    await site.accounts.users.uninvite(unquote(request.parameters["invitation"]))
    return DONE


BY_PASSWORD = frozenset(
    {
        *(log_in, register, token_by_login, token_by_registration, put_password, log_out, log_out_everywhere),
        *(logins, delete_login, post_user, invitations, post_invitation, delete_invitation),
    }
)
"""What there is not where a host application says who people are."""
