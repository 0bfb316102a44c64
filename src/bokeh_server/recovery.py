"""What works on a data folder while no server runs on it: ``bokeh-server user reset``, for whoever is locked out.

It asks nobody who he is: whoever may write the folder can do anything with it. A folder that a server uses is refused,
and so is one without data, which would be made.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson

from bokeh_server.commands import asked
from bokeh_server.config import default_data
from bokeh_server.errors import BadSetting


@click.command("reset")
@click.argument("name")
@click.option("--data", type=click.Path(path_type=Path), help="Folder with all data.  [default: per user]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def user_reset(name: str, data: Path | None, as_json: bool) -> None:
    """Give a user another password while the server does not run; all logins and tokens of the user end.

    For an administrator who has forgotten his own: it works on the folder with the data, and needs no log-in. Asks for
    the password, or reads it from standard input.
    """
    in_front = click.get_current_context().find_root().params.get("data")
    told = asyncio.run(reset(data or in_front or default_data(), name))
    line = f"{told['name']} has a new password{', but is disabled' if told['disabled'] else ''}."
    click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2) if as_json else line)


async def reset(folder: Path, name: str) -> dict[str, Any]:
    """Ask for the new password of a user in a data folder, and put it there; what lists show of the user."""
    from bokeh_server.accounts.accounts import Accounts
    from bokeh_server.store.sql import SqlStore, file_of

    if not file_of(folder).is_file():
        raise BadSetting(f"There is no data in {folder}; name the server's folder with --data.")
    async with SqlStore(folder) as store:
        accounts = Accounts(store)
        found = await accounts.users.find(name)
        await accounts.change_user(found.name, password=asked("New password", twice=True))
        return asdict(found)
