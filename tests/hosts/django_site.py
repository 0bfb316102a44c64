"""A Django site for the tests, with the server at ``/plots``, as the page about it says."""

from __future__ import annotations

import os

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.documented import blocks

settings.configure(SECRET_KEY="this site's own secret, for tests", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost"])
(text,) = [
    block for block in blocks("docs/howto/within-an-application.md", "python") if "get_asgi_application" in block
]
made: dict[str, object] = {}
exec(text.replace("plots-data", os.environ["DATA"]), made)
app = made["app"]


def home(request: HttpRequest) -> HttpResponse:
    """A page of the site's own, with a cookie of its own."""
    answer = HttpResponse("the site's own page")
    answer.set_cookie("site", "secret", httponly=True)
    return answer


urlpatterns = [path("", home)]
