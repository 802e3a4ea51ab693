"""A process that sees libraries, one folder of a method and an empty folder of its own, and nothing else.

By namespaces of Linux (user, mount, process, network, IPC, host name), which need no privilege where the kernel grants
them to users. The root of the process is a file system in memory: what a method needs to run is bound there, read-only;
its own folder is in memory, too, so that nothing of it is left.
"""

import ctypes
import os
import platform
import resource
import sys
from pathlib import Path

NEW = {
    "user": 0x10000000, "pid": 0x20000000, "mount": 0x00020000, "net": 0x40000000, "ipc": 0x08000000, "uts": 0x04000000
}  # fmt: skip
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
NOATIME, NODIRATIME, RELATIME = 1024, 2048, 1 << 21
KEPT = {2: NOSUID, 4: NODEV, 8: NOEXEC, 1024: NOATIME, 2048: NODIRATIME, 4096: RELATIME}
"""Flags of a mount as statvfs tells them; in a user namespace they may not be taken from it."""
DETACH = 2
PDEATHSIG, CAPBSET_DROP, SUBREAPER, NO_NEW_PRIVS = 1, 24, 36, 38
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
LAST_CAPABILITY = 63
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/nix", "/gnu")
ETC = ("ld.so.cache", "alternatives", "R", "passwd", "group", "nsswitch.conf", "localtime")
DEVICES = ("null", "zero", "full", "random", "urandom")
METHOD, FOLD = "/method", "/fold"
"""Where a method's folder, and its own, empty one, lie in the process."""
OWN_FOLDERS = {"HOME": "home", "TMPDIR": "tmp"}
"""Folders in its own one, by the variable that names them."""

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [None if word is None else word.encode() for word in (source, target, kind, data)]
    _checked(_libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]))


def unshare(*kinds: str) -> None:
    """Leave the namespaces of these kinds for new ones; OSError where the kernel does not allow it."""
    _checked(_libc.unshare(sum(NEW[kind] for kind in kinds)))


def be_reaper() -> None:
    """Take over the orphans among one's descendants, so that none gets away."""
    _libc.prctl(SUBREAPER, 1, 0, 0, 0)


def end_with_parent() -> None:
    """End when the parent ends."""
    _libc.prctl(PDEATHSIG, 9, 0, 0, 0)


def enter_user_namespace() -> None:
    """Enter new user and process namespaces, with the same user; the next child is the first process there."""
    uid, gid = os.getuid(), os.getgid()
    unshare("user", "pid")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def libraries(hidden: list[str]) -> list[str]:
    """List the folders that a method may need to run: the interpreter's, and those of PATH that hold programs.

    One that holds one of the `hidden` folders is left out, unless it is the interpreter's own.
    """
    real = os.path.realpath
    own = [sys.prefix, sys.base_prefix, str(Path(real(sys.executable)).parents[1])]
    programs = [str(Path(place).parent) for place in os.environ.get("PATH", "").split(":") if place.endswith("/bin")]
    fit = [place for place in programs if not any(_holds(place, other) for other in [*hidden, "/root", "/home"])]
    found = [place for place in dict.fromkeys([*own, *fit]) if os.path.isdir(place) and place != "/"]
    return [place for place in found if not any(_holds(system, place) for system in SYSTEM if os.path.isdir(system))]


def _holds(folder: str, other: str) -> bool:
    return Path(other) == Path(folder) or Path(folder) in Path(other).parents


def build_root(place: str, folder: str, shown: list[str], hidden: list[str], megabytes: int) -> None:
    """Make a new root at `place` and go into it; needs the rights in a user namespace of one's own.

    `folder` is the method's, `shown` what else it may read; `/opt` and the like are left out where they hold one of
    the `hidden` folders. The folder of its own has at most `megabytes`.
    """
    unshare("mount", "net", "ipc", "uts")
    _mount("none", "/", None, REC | PRIVATE)
    _mount("tmpfs", place, "tmpfs", NOSUID | NODEV, f"size={megabytes}m,mode=755")
    for system in SYSTEM:
        if os.path.islink(system):
            os.symlink(os.readlink(system), place + system)
        elif os.path.isdir(system) and not (system == "/opt" and any(_holds(system, other) for other in hidden)):
            _bind(system, place)
    for name in ETC:
        if os.path.exists(f"/etc/{name}"):
            _bind(f"/etc/{name}", place, os.path.realpath(f"/etc/{name}"))
    for name in DEVICES:
        _bind(f"/dev/{name}", place, writable=True)
    for path in shown:
        _bind(path, place)
    _bind(METHOD, place, folder)
    for name in ("/proc", "/tmp", "/dev/shm", *(f"{FOLD}/{own}" for own in OWN_FOLDERS.values())):  # noqa: S108
        os.makedirs(place + name, exist_ok=True)
    try:
        _mount("proc", f"{place}/proc", "proc", NOSUID | NODEV | NOEXEC)
    except OSError:  # a container that masks parts of /proc allows no new one
        os.rmdir(f"{place}/proc")
    os.makedirs(f"{place}/old")
    if _libc.syscall(PIVOT_ROOT[platform.machine()], place.encode(), f"{place}/old".encode()) != 0:
        _checked(-1)
    os.chdir("/")
    _checked(_libc.umount2(b"/old", DETACH))
    os.rmdir("/old")


def _bind(path: str, root: str, source: str | None = None, writable: bool = False) -> None:
    """Show `source` (without it `path`) at `path` below the new root."""
    source = source or path
    target = root + path
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        Path(target).touch()
    _mount(source, target, None, BIND | REC)
    if not writable:
        has = os.statvfs(target).f_flag
        kept = sum(flag for bit, flag in KEPT.items() if has & bit)
        _mount("none", target, None, BIND | REMOUNT | RDONLY | kept)


def drop_rights() -> None:
    """Remove all capabilities for good."""
    for number in range(LAST_CAPABILITY + 1):
        _libc.prctl(CAPBSET_DROP, number, 0, 0, 0)
    _libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0)
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _checked(_libc.capset(ctypes.byref(head), ctypes.byref((ctypes.c_uint32 * 6)())))


def limit(gigabytes: float, enforced: bool) -> None:
    """Limit memory beyond what is in use, files, and, in a namespace of its own, processes."""
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    most = used + int(gigabytes * 1024**3)
    limits = {resource.RLIMIT_DATA: most, resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: most}
    if enforced:
        limits[resource.RLIMIT_NPROC] = 2048
    for name, value in limits.items():
        _, hard = resource.getrlimit(name)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (value, value))
