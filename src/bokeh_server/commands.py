"""Commands that talk to a running server: ``bokeh-server login``, ``account``, ``user``, ``token``, ``doc``, ``link``.

They are clients like any other: the server is the one that ``--url`` or ``BOKEH_SERVER_URL`` names, the key is
``BOKEH_SERVER_TOKEN`` or the one that ``login`` has kept. With ``--json`` each prints what the server says. No secret
is an argument, which everybody on the machine can see.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

import click
import orjson

from bokeh_server.amounts import bytes_of, seconds_of
from bokeh_server.errors import BadSetting, Conflict, Forbidden

F = TypeVar("F", bound=Callable[..., Any])
DAY = 86_400.0
SCOPES = ("read", "stream", "write", "manage", "watch")
ROLES = click.Choice(["viewer", "editor"])


class Server:
    """The server that a command talks to."""

    def __init__(self, url: str, as_json: bool) -> None:
        from bokeh_server.client.session import Session

        self.session = Session(url)
        self.as_json = as_json

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The server's answer."""
        return self.session._rest.request(method, f"api/v1/{path}", body)

    def at(self, path: str, name: str, kind: str) -> str:
        """The path of what somebody typed the ``name`` of, some ``kind``."""
        from bokeh_server.client.rest import part

        return f"{path}/{part(name, kind)}"

    def info(self, name: str) -> dict[str, Any]:
        """What the server tells of a document, by its id or title."""
        return self.session._rest.info(name)

    def document(self, name: str) -> str:
        """The path of a document, by its id or title."""
        return f"documents/{self.info(name)['id']}"

    def tell(self, found: Any, *columns: str) -> None:
        """Print rows as a table of these columns, or all of it as JSON."""
        if self.as_json:
            click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
        else:
            table([{name: words(name, row.get(name)) for name in columns} for row in found], columns)

    def tell_one(self, found: dict[str, Any], **shown: Any) -> None:
        """Print what is ``shown`` of one thing, each in a line, or all that was ``found`` as JSON."""
        if self.as_json:
            click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
        else:
            for name, value in shown.items():
                click.echo(f"{name.replace('_', ' ').ljust(max(map(len, shown)))}  {words(name, value)}")

    def done(self, line: str, found: Any = None) -> None:
        """Say what was done, or print the answer as JSON."""
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2) if self.as_json else line)


def words(name: str, value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "never" if name in ("used", "until") else "–"
    if name in ("created", "changed", "used", "until"):
        return datetime.fromtimestamp(value).astimezone().strftime("%Y-%m-%d %H:%M")
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return "".join(sign if sign.isprintable() else "?" for sign in text)  # no browser's name moves a terminal's cursor


def table(rows: Sequence[dict[str, str]], columns: Sequence[str]) -> None:
    """Print rows below their headings."""
    widths = {name: max([len(name), *(len(row[name]) for row in rows)]) for name in columns}
    for row in [{name: name for name in columns}, *rows]:
        click.echo("  ".join(row[name].ljust(widths[name]) for name in columns).rstrip())


def command(group: click.Group, name: str) -> Callable[[F], click.Command]:
    """A command of a group, which gets the ``Server`` first."""

    def made(function: F) -> click.Command:
        def run(url: str, as_json: bool, **given: Any) -> None:
            function(Server(url, as_json), **given)

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        for option in (
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
            click.option("--url", default="default", help="The server.  [default: BOKEH_SERVER_URL, or here]"),
        ):
            run = option(run)
        return group.command(name)(run)

    return made


def asked(what: str, *, twice: bool = False) -> str:
    """A password: typed unseen, or the first line of standard input. Never an argument, which everybody can see."""
    if sys.stdin is None:  # it was closed
        raise BadSetting(f"{what}: there is nobody to ask; give it as the first line of standard input.")
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, confirmation_prompt=twice))
    return sys.stdin.readline().rstrip("\r\n")


def seconds(days: float | None) -> float | None:
    """A life in seconds."""
    if days is not None and not 0 < days < math.inf:
        raise BadSetting(f"A life is a number of days, more than 0, not {days}.")
    return None if days is None else days * DAY


@click.group()
def user() -> None:
    """People with an account (for administrators)."""


@command(user, "list")
def user_list(server: Server) -> None:
    """All users, and what each stores."""
    server.tell(server.ask("GET", "users"), "name", "admin", "disabled", "documents", "size", "created")


@command(user, "add")
@click.argument("name")
@click.option("--admin", is_flag=True, help="Make an administrator.")
def user_add(server: Server, name: str, admin: bool) -> None:
    """Make an account; asks for its password, or reads it from standard input."""
    body = {"username": name, "password": asked("Password", twice=True), "admin": admin}
    made = server.ask("POST", "users", body)
    server.done(f"{made['name']} can log in now.", made)


@command(user, "change")
@click.argument("name")
@click.option("--disable/--enable", "disabled", default=None, help="Keep the user out, or let him in again.")
@click.option("--admin/--no-admin", default=None, help="Make an administrator, or no longer.")
@click.option("--new-password", is_flag=True, help="Ask for a new password; all logins and tokens of the user end.")
def user_change(server: Server, name: str, disabled: bool | None, admin: bool | None, new_password: bool) -> None:
    """Change an account."""
    password = asked("New password", twice=True) if new_password else None
    given = {"disabled": disabled, "admin": admin, "password": password}
    change = {key: value for key, value in given.items() if value is not None}
    told = server.ask("PATCH", server.at("users", name, "user"), change)
    server.done(f"{told['name']}: {'disabled' if told['disabled'] else 'can log in'}.", told)


@command(user, "invite")
@click.option("--admin", is_flag=True, help="Who uses it becomes an administrator.")
def user_invite(server: Server, admin: bool) -> None:
    """Make an invitation: a link to register that is good once, for a week."""
    made = server.ask("POST", "invitations", {"admin": admin})
    server.done(made["url"], made)


@command(user, "invitations")
def user_invitations(server: Server) -> None:
    """The invitations that nobody has used yet."""
    server.tell(server.ask("GET", "invitations"), "id", "author", "admin", "created", "until")


@command(user, "uninvite")
@click.argument("id")
def user_uninvite(server: Server, id: str) -> None:
    """Take an invitation back."""
    server.ask("DELETE", server.at("invitations", id, "invitation"))
    server.done("Taken back.")


@command(user, "documents")
@click.argument("name")
def user_documents(server: Server, name: str) -> None:
    """What a user stores."""
    found = server.ask("GET", f"{server.at('users', name, 'user')}/documents")
    server.tell(found, "title", "kind", "size", "changed", "id")


@click.group()
def account() -> None:
    """Your own account."""


@command(account, "show")
def account_show(server: Server) -> None:
    """Who you are to the server, and what your key is good for."""
    told = server.ask("GET", "account")
    server.tell_one(told, **told)


@command(account, "password")
def account_password(server: Server) -> None:
    """Change your password: everything that was opened with the old one ends. Tokens that you made stay.

    Asks for the old and the new one, or reads them from two lines of standard input.
    """
    from bokeh_server.client.keys import load

    session, name = server.session, server.ask("GET", "account")["username"]
    new = {"old": asked("Old password"), "new": asked("New password", twice=True)}
    server.ask("PUT", "account/password", new)
    kept = load(session.root_url)
    if kept is not None and kept.userapikey == session.userapikey:  # it has ended, too
        session.login(name, new["new"])
    server.done(f"Changed; all other logins of {name} have ended.")


@command(account, "logins")
def account_logins(server: Server) -> None:
    """The browsers in which you are logged in."""
    server.tell(server.ask("GET", "account/logins"), "id", "agent", "created", "used", "until")


@command(account, "end-login")
@click.argument("id")
def account_end_login(server: Server, id: str) -> None:
    """Log one browser out."""
    server.ask("DELETE", server.at("account/logins", id, "login"))
    server.done("Logged out there.")


@click.group()
def token() -> None:
    """Keys for programs, jobs and devices."""


@command(token, "list")
def token_list(server: Server) -> None:
    """Your tokens."""
    server.tell(server.ask("GET", "account/tokens"), "id", "name", "scopes", "document", "used", "until")


@command(token, "add")
@click.argument("name")
@click.option("--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True, help="May be given again.")
@click.option("--doc", help="The only document it is good for, by id or title.")
@click.option("--days", type=float, help="How long it lives.  [default: until it is revoked]")
def token_add(server: Server, name: str, scopes: tuple[str, ...], doc: str | None, days: float | None) -> None:
    """Make a token, and print it: it is never shown again."""
    document = server.info(doc)["id"] if doc is not None else None
    body = {"name": name, "scopes": scopes, "document": document, "seconds": seconds(days)}
    made = server.ask("POST", "account/tokens", body)
    server.done(made["token"], made)


@command(token, "revoke")
@click.argument("id")
def token_revoke(server: Server, id: str) -> None:
    """Revoke a token: whoever is connected with it is cut off."""
    server.ask("DELETE", server.at("account/tokens", id, "token"))
    server.done("Revoked.")


@click.group()
def doc() -> None:
    """Documents."""


@command(doc, "list")
def doc_list(server: Server) -> None:
    """The documents that you may see."""
    columns = ("title", "owner", "role", "published", "kind", "size", "changed", "link")
    server.tell(server.ask("GET", "documents"), *columns)


@command(doc, "show")
@click.argument("name")
def doc_show(server: Server, name: str) -> None:
    """A document: whose it is, whom it is shared with, and who is looking now (as far as you may know)."""
    info = server.info(name)
    grants = looking = None
    with suppress(Forbidden):
        looking = server.ask("GET", f"documents/{info['id']}/viewers")
    with suppress(Forbidden):
        grants = server.ask("GET", f"documents/{info['id']}/grants")
    shown = {key: info[key] for key in ("title", "id", "owner", "role", "published")}
    if grants is not None:
        shown["shared_with"] = [f"{grant['user']} ({grant['role']})" for grant in grants] or "nobody"
    if looking is not None:
        others = [f"{looking['others']} without a name"] if looking["others"] else []
        shown["looking"] = [*looking["users"], *others] or "nobody"
    shown |= {key: info[key] for key in ("kind", "size", "created", "changed", "programs", "link")}
    server.tell_one({**info, "grants": grants, "looking": looking}, **shown)


@command(doc, "embed")
@click.argument("name")
def doc_embed(server: Server, name: str) -> None:
    """The tag that shows a published document in a page of your own."""
    info = server.info(name)
    if not info["published"]:
        raise Conflict(f"{info['title']!r} is not published; publish it first: bokeh-server doc publish.")
    ours = info["link"].rpartition("/doc/")[0]
    tag = f'<script src="{ours}/autoload.js?document={info["id"]}&amp;public=true"></script>'
    server.done(tag, {"url": f"{ours}/embed/{info['id']}", "tag": tag})


@command(doc, "publish")
@click.argument("name")
def doc_publish(server: Server, name: str) -> None:
    """Show a document to everybody."""
    path = server.document(name)
    server.ask("PUT", f"{path}/published")
    link = f"{server.session.root_url}bokeh/doc/{path.rpartition('/')[2]}?public=true"
    server.done(f"Everybody may see it now: {link}", {"link": link})


@command(doc, "unpublish")
@click.argument("name")
def doc_unpublish(server: Server, name: str) -> None:
    """Show a document to everybody no longer."""
    server.ask("DELETE", f"{server.document(name)}/published")
    server.done("Only you and those it is shared with may see it now.")


@command(doc, "share")
@click.argument("name")
@click.argument("user")
@click.option("--role", type=ROLES, default="viewer", show_default=True)
def doc_share(server: Server, name: str, user: str, role: str) -> None:
    """Share a document with a user."""
    server.ask("PUT", server.at(f"{server.document(name)}/grants", user, "user"), {"role": role})
    server.done(f"{user} is {'an editor' if role == 'editor' else 'a viewer'} of it now.")


@command(doc, "unshare")
@click.argument("name")
@click.argument("user")
def doc_unshare(server: Server, name: str, user: str) -> None:
    """Share a document with a user no longer."""
    server.ask("DELETE", server.at(f"{server.document(name)}/grants", user, "user"))
    server.done(f"It is no longer shared with {user}.")


@command(doc, "rename")
@click.argument("name")
@click.argument("title")
def doc_rename(server: Server, name: str, title: str) -> None:
    """Give a document another title."""
    told = server.ask("PATCH", server.document(name), {"title": title})
    server.done(f"It is called {told['title']} now.", told)


@command(doc, "retain")
@click.argument("name")
@click.option("--bytes", "most", metavar="SIZE", help="What streamed sources may take together, like 64M; or `all`.")
@click.option("--raw", metavar="TIME", help="How long streamed rows stay as they came, like 1d; or `always`.")
@click.option("--default", is_flag=True, help="What the server says, of all that is not given.")
def doc_retain(server: Server, name: str, most: str | None, raw: str | None, default: bool) -> None:
    """Say what a document keeps of that which is streamed to it; without options: show it.

    Past --bytes the oldest rows give way, after --raw rows are thinned to a tenth of them.
    """
    path = f"{server.document(name)}/retention"
    told = server.ask("GET", path)
    if most is not None or raw is not None or default:
        before: dict[str, Any] = {} if default else told
        body = {
            "bytes": before.get("bytes") if most is None else 0 if most == "all" else bytes_of(most),
            "raw": before.get("raw") if raw is None else 0 if raw == "always" else seconds_of(raw),
        }
        told = server.ask("PUT", path, body)
    holds = told["holds"]
    size = "all rows" if holds["bytes"] is None else f"{holds['bytes']:,} bytes of streamed rows"
    thinned = "" if holds["raw"] is None else f"; after {holds['raw']:,.0f} seconds they are thinned"
    server.done(f"It keeps {size}{thinned}.", told)


@command(doc, "delete")
@click.argument("name")
@click.confirmation_option(prompt="Its data and its link are gone for good, for everyone. Delete it?")
def doc_delete(server: Server, name: str) -> None:
    """Delete a document for good."""
    server.ask("DELETE", server.document(name))
    server.done("Deleted.")


@click.group()
def link() -> None:
    """Links that carry a right to a document."""


@command(link, "list")
@click.argument("name")
def link_list(server: Server, name: str) -> None:
    """The links to a document."""
    columns = ("id", "name", "role", "enabled", "opened", "most", "until", "embed")
    server.tell(server.ask("GET", f"{server.document(name)}/links"), *columns)


@command(link, "add")
@click.argument("name")
@click.option("--role", type=ROLES, default="viewer", show_default=True)
@click.option("--label", default="", help="What lists call it.")
@click.option("--days", type=float, help="How long it lives.  [default: until it is removed]")
@click.option("--opens", type=int, help="How often it can be opened.  [default: no limit]")
@click.option(
    "--embed", multiple=True, metavar="URL", help="For pages of this site (repeatable): print the tag for them."
)
def link_add(
    server: Server, name: str, role: str, label: str, days: float | None, opens: int | None, embed: tuple[str, ...]
) -> None:
    """Make a link, and print it: it is never shown again."""
    body = {"role": role, "name": label, "seconds": seconds(days), "most": opens, "embed": list(embed)}
    made = server.ask("POST", f"{server.document(name)}/links", body)
    server.done(made.get("tag", made["url"]), made)


@command(link, "switch")
@click.argument("name")
@click.argument("id")
@click.option("--on/--off", "enabled", required=True)
def link_switch(server: Server, name: str, id: str, enabled: bool) -> None:
    """Turn a link off, or on again."""
    server.ask("PATCH", server.at(f"{server.document(name)}/links", id, "link"), {"enabled": enabled})
    server.done("On." if enabled else "Off: whoever came by it is cut off.")


@command(link, "remove")
@click.argument("name")
@click.argument("id")
def link_remove(server: Server, name: str, id: str) -> None:
    """End a link for good."""
    server.ask("DELETE", server.at(f"{server.document(name)}/links", id, "link"))
    server.done("Removed.")


@click.group()
def top() -> None:
    """What stands beside the groups."""


@command(top, "login")
@click.argument("username")
def login(server: Server, username: str) -> None:
    """Log in to a server, and keep the key for programs and commands on this machine.

    Asks for the password, or reads it from standard input.
    """
    server.session.login(username, asked("Password"))
    server.done(f"Logged in to {server.session.root_url} as {server.session.username}.", entered(server))


@command(top, "register")
@click.argument("username")
@click.option("--invited", is_flag=True, help="Ask for the link of an invitation first.")
def register(server: Server, username: str, invited: bool) -> None:
    """Make an account on a server, and keep its key for programs and commands on this machine.

    Asks for the password, or reads it from standard input; with --invited for the link of the invitation before.
    """
    invitation = asked("Invitation") if invited else None
    server.session.register(username, asked("Password", twice=True), invitation)
    server.done(f"{server.session.username} has an account at {server.session.root_url} now.", entered(server))


def entered(server: Server) -> dict[str, str]:
    """Who has come where."""
    return {"username": server.session.username, "url": server.session.root_url}


@command(top, "logout")
@click.option("--everywhere", is_flag=True, help="In all browsers and programs; tokens that you made stay.")
def logout(server: Server, everywhere: bool) -> None:
    """End the key that is kept for a server; the token in BOKEH_SERVER_TOKEN stays."""
    from bokeh_server.client.keys import load

    if not everywhere and load(server.session.root_url) is None:
        raise BadSetting(f"Nobody is logged in to {server.session.root_url} here.")
    if everywhere:
        server.ask("DELETE", "account/logins")
    server.session.logout()
    server.done(f"Logged out of {server.session.root_url}{' everywhere' if everywhere else ''}.")


COMMANDS = (account, user, token, doc, link, register, login, logout)
