"""Requests without a framework: where a host has mounted us."""

from __future__ import annotations

import pytest

from bokeh_server.web.http import place


@pytest.mark.parametrize(
    ("root", "path", "mounted", "whole"),
    [
        ("", "/", "", "/"),
        ("", "/a/b", "", "/a/b"),
        ("/plots", "/plots/a", "/plots", "/plots/a"),
        ("/plots/", "/plots/a", "/plots", "/plots/a"),
        ("/plots", "/a", "/plots", "/plots/a"),  # the host has taken its part away
        ("/plots", "/plotsy/a", "/plots", "/plots/plotsy/a"),
        ("/plots", "/plots", "/plots", "/plots"),
        ("/a/b", "/a/b/c", "/a/b", "/a/b/c"),
        ("/user/jö@x", "/user/j%C3%B6%40x/a", "/user/j%C3%B6%40x", "/user/j%C3%B6%40x/a"),
        ("/user/jö@x", "/user/j%c3%b6@x/a%20b", "/user/j%C3%B6%40x", "/user/j%C3%B6%40x/a%20b"),
        ("/plots", "//plots/a", "/plots", "/plots//plots/a"),
        ("/plots", "/%2e%2e/a", "/plots", "/plots/%2e%2e/a"),
        ("", "//a", "", "//a"),
    ],
)
def test_all_of_ours_is_below_where_we_are_mounted_however_the_host_says_it(
    root: str, path: str, mounted: str, whole: str
) -> None:
    assert place(root, path) == (mounted, whole)
