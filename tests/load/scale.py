"""How long the tests here run: ``LOAD=all``, ``SOAK_MINUTES`` and ``CHAOS_CUTS`` are set by the recipes."""

from __future__ import annotations

import os

LONG = os.environ.get("LOAD") == "all"
"""Whether sizes, times and ratios are those that are promised; they need a machine with nothing else to do."""
SOAK_MINUTES = float(os.environ.get("SOAK_MINUTES", "0.2"))
CHAOS_CUTS = int(os.environ.get("CHAOS_CUTS", "40"))
CHAOS_SEED = os.environ.get("CHAOS_SEED")
