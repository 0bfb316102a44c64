"""A Django site with members, by its own accounts and sessions; they are the users of the server at ``/plots``."""

from __future__ import annotations

import os
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path

settings.configure(
    SECRET_KEY="this site's own secret, for tests",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["localhost"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{os.environ['DATA']}.django"}},
)
django.setup()
call_command("migrate", verbosity=0)

from django.contrib import auth  # noqa: E402 - once it is set up
from django.contrib.auth.models import User  # noqa: E402

from bokeh_server import create_app  # noqa: E402
from tests.documented import blocks  # noqa: E402

(text,) = [block for block in blocks("docs/howto/within-an-application.md", "python") if "django.contrib" in block]
made: dict[str, Any] = {}
exec(text, made)
plots = create_app(os.environ["DATA"], identify=made["identify"], admins=("root",), login_url="/login?by=name")


def log_in(request: HttpRequest) -> HttpResponse:
    """A form, and what it does: log in by a name alone."""
    if request.method == "POST":
        member, _ = User.objects.get_or_create(username=request.POST["name"])
        auth.login(request, member, "django.contrib.auth.backends.ModelBackend")
        return HttpResponseRedirect(request.GET.get("next", "/plots/"))
    return HttpResponse('<form method="post"><input name="name"><button>Log in</button>')


async def log_out(request: HttpRequest) -> HttpResponse:
    """Log out, here and there."""
    plots.forget((await request.auser()).get_username())
    await auth.alogout(request)
    return HttpResponse()


urlpatterns = [path("login", log_in), path("logout", log_out)]
(text,) = [
    block for block in blocks("docs/howto/within-an-application.md", "python") if "get_asgi_application" in block
]
exec(text.replace('create_app("plots-data")', "plots"), mounted := {"plots": plots})
app = mounted["app"]
