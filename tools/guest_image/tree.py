"""A tree of files held in memory, with the owners and modes that the guest will see.

Everything the build unpacks or generates is such a tree, so neither the owner of the build
nor its umask can reach the image, and no root rights are needed.
"""

import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.guest_image.host import GuestImageError


@dataclass(frozen=True, slots=True)
class Node:
    """One file, folder or symbolic link."""

    #: File type and permission bits, as in `st_mode`.
    mode: int
    #: The bytes of a file, the target of a link, empty for a folder.
    content: bytes = b""
    uid: int = 0
    gid: int = 0


#: Path from the root, without a leading slash, to what lies there.
Tree = dict[str, Node]


def folder(mode: int = 0o755, *, uid: int = 0, gid: int = 0) -> Node:
    """Return a folder."""
    return Node(stat.S_IFDIR | mode, uid=uid, gid=gid)


def file(content: bytes, mode: int = 0o644, *, uid: int = 0, gid: int = 0) -> Node:
    """Return a regular file."""
    return Node(stat.S_IFREG | mode, content, uid=uid, gid=gid)


def link(target: str) -> Node:
    """Return a symbolic link."""
    return Node(stat.S_IFLNK | 0o777, target.encode())


def with_parents(tree: Tree) -> Tree:
    """Return the tree in path order, with each folder that is only implied by a path added."""
    whole = dict(tree)
    for path in tree:
        for parent in Path(path).parents:
            whole.setdefault(parent.as_posix(), folder())
    whole.pop(".", None)
    return dict(sorted(whole.items()))


def from_folder(source: Path) -> Tree:
    """Read the files below `source`; of their modes only the execute bit counts."""
    return {
        path.relative_to(source).as_posix(): file(
            path.read_bytes(), 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
        )
        for path in sorted(source.rglob("*"))
        if path.is_file()
    }


def from_tar(archive: bytes, keep: Callable[[str], bool]) -> Tree:
    """Read the files and links of a tar archive whose path `keep` accepts."""
    tree: Tree = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            path = posixpath.normpath(member.name)
            if not keep(path):
                continue
            if member.issym():
                tree[path] = link(member.linkname)
            elif member.isfile() and (stream := tar.extractfile(member)) is not None:
                tree[path] = file(stream.read(), member.mode)
    return tree


def find(tree: Tree, name: str) -> Node:
    """Return the one file called `name`, wherever it lies, following links inside the tree."""
    paths = [path for path in tree if posixpath.basename(path) == name]
    if len(paths) != 1:
        raise GuestImageError(f"Expected one file {name} in the packages, found {paths or 'none'}.")
    path = paths[0]
    while stat.S_ISLNK(tree[path].mode):
        target = posixpath.join(posixpath.dirname(path), tree[path].content.decode())
        path = posixpath.normpath(target)
        if path not in tree:
            raise GuestImageError(f"{paths[0]} links to {path}, which no package holds.")
    return tree[path]


def write(tree: Tree, target: Path, *, mtime: int) -> None:
    """Lay the tree out below `target` with its modes; the owner of the files is the caller."""
    whole = with_parents(tree)
    for path, node in whole.items():
        place = target / path
        if stat.S_ISDIR(node.mode):
            place.mkdir(parents=True)
        elif stat.S_ISLNK(node.mode):
            place.symlink_to(node.content.decode())
        else:
            place.write_bytes(node.content)
    # Times come last: writing into a folder changes the folder's own.
    for path, node in whole.items():
        if not stat.S_ISLNK(node.mode):
            (target / path).chmod(stat.S_IMODE(node.mode))
        os.utime(target / path, (mtime, mtime), follow_symlinks=False)
