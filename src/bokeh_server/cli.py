"""The command line: ``bokeh-server`` starts the server, ``bokeh-server demo`` one with live documents in it.

A user's mistake is one line on standard error and exit status 1 (2 for a wrong flag), never a traceback.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from bokeh_server.accounts.keys import new_key
from bokeh_server.amounts import bytes_of, seconds_of
from bokeh_server.commands import COMMANDS, user
from bokeh_server.config import PORT, Config, default_data
from bokeh_server.errors import BadSetting, BokehServerError
from bokeh_server.limits import LIMITS
from bokeh_server.push import push
from bokeh_server.recovery import user_reset
from bokeh_server.top import top

F = TypeVar("F", bound=Callable[..., Any])
TOKEN = "BOKEH_SERVER_TOKEN"  # noqa: S105
"""The variable with the token, here as for every client."""
LATER = {
    "script": "--script: hosted apps are not in this version yet; run the script by itself, it can push here.",
}

OPTIONS = (
    click.option("--data", type=click.Path(path_type=Path), help="Folder with all data.  [default: per user]"),
    click.option("--address", "--ip", default="localhost", show_default=True, help="Where to listen."),
    click.option("--port", default=PORT, show_default=True, help="TCP port; 0 takes a free one."),
    click.option("--prefix", "--url-prefix", default="", help="What all URLs start with, like /plots."),
    click.option(
        "--backend",
        type=click.Choice(["sqlite", "memory"]),
        default="sqlite",
        show_default=True,
        help="Where documents stay; memory forgets them at the end.",
    ),
    click.option(
        "--durability",
        type=click.Choice(["disk", "process"]),
        default="disk",
        show_default=True,
        help="What an ack means: flushed to disk, or written (survives a kill, not a power cut).",
    ),
    click.option(
        "--document-scripts",
        type=click.Choice(["on", "off"]),
        default="on",
        show_default=True,
        help="Whether scripts inside documents run (in their sandboxed frame).",
    ),
    click.option("--ssl-certfile", type=click.Path(path_type=Path), help="Certificate for https."),
    click.option("--ssl-keyfile", type=click.Path(path_type=Path), help="Its key."),
    click.option(
        "--retain-bytes",
        metavar="SIZE",
        help="What the streamed sources of a document may take together, like 64M; then the oldest rows give way.  "
        "[default: no limit]",
    ),
    click.option(
        "--retain-raw",
        metavar="TIME",
        help="For how long streamed rows stay as they came, like 1d; then they are thinned to a tenth.  "
        "[default: for ever]",
    ),
    click.option("--show", is_flag=True, help="Open the board in a browser."),
    click.option("-d", "--debug", is_flag=True, help="More log lines."),
    click.option("-m", "--multi-user", is_flag=True, help="People have accounts; nothing works without one."),
    click.option(
        "--token",
        is_flag=True,
        help="Without accounts: everybody must show the token in BOKEH_SERVER_TOKEN, or one that is made now.",
    ),
    click.option(
        "--registration",
        type=click.Choice(["closed", "invitation", "open"]),
        default="invitation",
        show_default=True,
        help="Who may make an account for himself (with -m): nobody, who is invited, or everybody.",
    ),
    click.option(
        "--public-url",
        "public_urls",
        multiple=True,
        metavar="URL",
        help="Under which address people reach the server, like https://plots.example.org; may be given several times.",
    ),
    click.option(
        "--trusted-proxy",
        "trusted_proxies",
        multiple=True,
        metavar="ADDRESS",
        help="A proxy whose X-Forwarded-For and X-Forwarded-Proto are believed: an IP address, a network like "
        "10.0.0.0/8, or `unix` for whoever comes by the unix socket; may be given several times.",
    ),
    click.option(
        "--unix-socket",
        "--uds",
        type=click.Path(path_type=Path),
        help="Listen on this socket instead of a port, for a proxy on the same machine.",
    ),
    click.option(
        "--unix-socket-mode",
        default="600",
        show_default=True,
        metavar="MODE",
        help="Who may connect to the unix socket: 600 its owner, 660 also its group.",
    ),
    click.option("--script", hidden=True),
)


def server_options(function: F) -> F:
    """The flags of a command that starts a server."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def configured(flags: dict[str, Any]) -> Config:
    """The settings that the flags mean; ``BadSetting`` where they can't be used."""
    for flag, line in LATER.items():
        if flags.pop(flag):
            raise BadSetting(line)
    flags["document_scripts"] = flags["document_scripts"] == "on"
    try:
        flags["unix_socket_mode"] = int(flags["unix_socket_mode"], 8)
    except ValueError:
        raise BadSetting("The mode of the unix socket (--unix-socket-mode) is one of a file, like 660.") from None
    for name, amount in (("retain_bytes", bytes_of), ("retain_raw", seconds_of)):
        flags[name] = None if flags[name] is None else amount(flags[name])
    if flags["token"]:
        flags["token"] = os.environ.get(TOKEN, "").strip() or new_key("token").text
    else:
        del flags["token"]
    if flags.pop("backend") == "memory":
        flags["data"] = None
    elif flags["data"] is None:
        flags["data"] = default_data()
    return Config(**flags)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bokeh-server")
@server_options
@click.pass_context
def cli(context: click.Context, /, **flags: Any) -> None:
    """Keep Bokeh documents and show them live. Without a command: start the server."""
    if context.invoked_subcommand is None:
        start(flags)
        return
    given = [flag for flag in context.command.params if flag.name in flags and is_given(context, flag.name)]
    takes = {demo.name: set(flags), check.name: set(flags), user.name: {"data"}}.get(context.invoked_subcommand, set())
    for flag in given:
        if flag.name not in takes:
            raise BadSetting(f"{flag.opts[0]} is for a server that is started; a command finds its server by --url.")
    context.default_map = {context.invoked_subcommand: {str(flag.name): flags[str(flag.name)] for flag in given}}


def is_given(context: click.Context, name: str | None) -> bool:
    """Whether a flag stands in front of the command."""
    return context.get_parameter_source(name or "") is ParameterSource.COMMANDLINE


@cli.command()
@server_options
def demo(**flags: Any) -> None:
    """Start the server with live documents made from real data."""
    from bokeh_server import demo as program

    program.check()
    if flags["multi_user"]:
        raise BadSetting("The demo's program has no account: leave -m out.")
    if flags["unix_socket"] is not None:
        raise BadSetting("The demo's program comes by a port: leave --unix-socket out.")
    running = []
    start(flags, ready=lambda url, token: running.append(program.start(url, token)))
    for process in running:
        program.end(process)


@cli.command()
@server_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(as_json: bool, **flags: Any) -> None:
    """Say what is unsafe or missing in the options of a server, without starting it.

    Each thing that it looks at is a line: ok, warn or fail, and what to change. Exit status 1 where something fails.
    """
    from bokeh_server.findings import Finding, report

    del flags["show"]
    try:
        config = configured(flags)
    except BadSetting as error:
        report([Finding("settings", "fail", str(error))], as_json=as_json)
        return
    from bokeh_server import check as examination

    report(examination.check(config), as_json=as_json)


@cli.command()
@click.argument("url")
@click.option(
    "--ca", type=click.Path(path_type=Path), help="A file of certificates whose signatures are believed, too."
)
@click.option("--idle", default=LIMITS.ping + 5, show_default=True, help="Seconds for which a socket is left silent.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(url: str, ca: Path | None, idle: float, as_json: bool) -> None:
    """Examine a deployment from outside: name, TLS, path, Host, websockets, sizes, and a stream through a document.

    Each thing is a line: ok, warn or fail, and what to change: a directive of nginx, or an option of the server. Exit
    status 1 where something fails. The stream needs a token, in BOKEH_SERVER_TOKEN or kept by `bokeh-server login`.
    """
    from bokeh_server.client.keys import load, of_environment
    from bokeh_server.client.session import root_of
    from bokeh_server.doctor import Deployment, examine
    from bokeh_server.findings import report

    root = root_of(url)
    kept = load(root)
    token = of_environment() or (kept.userapikey if kept is not None else "")
    report(examine(Deployment(root, token, ca, idle)), as_json=as_json)


for command in (*COMMANDS, push, top):
    cli.add_command(command)
user.add_command(user_reset)


def start(flags: dict[str, Any], ready: Callable[[str, str | None], object] = lambda url, token: None) -> None:
    """Run a server until it is told to stop; ``ready`` is called with its URL and its token, if it asks for one."""
    show = flags.pop("show")
    config = configured(flags)
    from bokeh_server.adapters.process import run

    def told(url: str, invitation: str | None) -> None:
        kept = "in memory, gone when it ends" if config.data is None else f"in {config.data}"
        by = "" if config.unix_socket is None else f" by the unix socket {config.unix_socket}"
        say(f"bokeh-server at {url}{by}  (documents {kept}; Ctrl-C ends it)")
        if invitation is not None:
            say(f"Make the administrator's account (this link is good once, for a day): {invitation}")
        if config.token is not None and config.token != os.environ.get(TOKEN, "").strip():
            say(f"Open it in a browser: {url}bokeh/login#{config.token}")
            say(f"Programs take the token from {TOKEN}: {config.token}")
        ready(url, config.token)
        if show:
            click.launch(url)

    set_up_logging(debug=config.debug)
    run(config, told)


def say(line: str) -> None:
    """Print a line, if anybody can hear it: a server does not end because its terminal has, or its log is full."""
    try:
        click.echo(line)
    except OSError:
        sys.stdout = open(os.devnull, "w")  # what is left in the old one would be tried again at the end


def set_up_logging(*, debug: bool) -> None:
    """Structured lines on standard error: what matters, or with ``debug`` every request. None holds a secret."""
    import structlog
    from structlog.typing import Processor

    first: list[Processor] = [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso")]
    last: list[Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
    ]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.WARNING),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        processors=[*first, *last],
    )
    foreign = structlog.stdlib.ProcessorFormatter(  # of uvicorn and asyncio: a traceback is one line, too
        foreign_pre_chain=[*first, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(foreign)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def main() -> None:
    """The entry point."""
    try:
        cli(standalone_mode=True)
    except BokehServerError as error:
        click.echo(f"bokeh-server: {error}", err=True)
        sys.exit(2 if isinstance(error, BadSetting) else 1)
