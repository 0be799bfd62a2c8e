"""`python -m tools.guest_image --output build/guest`: build the guest image if it is stale."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.guest_image.build import build
from tools.guest_image.host import GuestImageError, Progress


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the build and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.guest_image", description=__doc__)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("build/guest"),
        help="folder for the images and images.json (default: %(default)s)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path("build/guest-packages"),
        help="folder where downloaded packages are kept (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    say = Progress(time.monotonic, time.monotonic())
    try:
        build(options.output, options.cache, say)
    except GuestImageError as error:
        sys.stderr.write(f"guest image: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
