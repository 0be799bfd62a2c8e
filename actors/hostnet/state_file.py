"""Small files that a later process of ours reads."""

from pathlib import Path


def read(file: Path) -> str:
    """The text, empty where there is none."""
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


def write(file: Path, text: str) -> bool:
    """Replace the file at once (rename(2)); False when it says that already.

    Not synced: after a crash of the machine the guests are gone too, and all is written again.
    """
    if file.exists() and read(file) == text:
        return False
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(file)
    return True
