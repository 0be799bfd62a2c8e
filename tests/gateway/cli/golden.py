"""What the screens look like, as files in tests/golden/cli."""

import os
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "golden" / "cli"
UPDATE = os.environ.get("NOVARAY_GOLDEN_UPDATE") == "1"


def check(name: str, text: str) -> None:
    """Compare a screen with its golden file; ``make golden-update`` writes it instead."""
    path = FOLDER / f"{name}.txt"
    if UPDATE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"no golden file {path.name}: run 'make golden-update' and read it"
    assert text == path.read_text(encoding="utf-8")
