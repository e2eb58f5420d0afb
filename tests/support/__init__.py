"""What tests share: small files in the formats of the real ones, networks, runs."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
GOLDEN = REPOSITORY / "tests" / "golden"  # kept run folders
