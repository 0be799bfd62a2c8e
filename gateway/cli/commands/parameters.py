"""What options and arguments of several commands have in common."""

import typer


def pairs(items: list[str], option: str) -> dict[str, str]:
    """``KEY=VALUE`` for each item.

    Raises:
        BadParameter: One has no ``=``, or no key.
    """
    found: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"'{item}' is not KEY=VALUE.", param_hint=f"'{option}'")
        found[key] = value
    return found
