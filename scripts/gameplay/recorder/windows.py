"""Finds a window by its title, and its place: through X11, or through user32 of Windows."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from scripts.gameplay.recorder.missing import needs
from scripts.lib.cli import UserError

SHOWN = 12  # titles that an error lists
NEXT = 2  # GW_HWNDNEXT
Handle = TypeVar("Handle")


class Rect(NamedTuple):
    """A rectangle of the desktop in pixels, as mss counts them: from the first monitor's left upper corner."""

    left: int
    top: int
    width: int
    height: int


class Gone(Exception):
    """A window that was there is closed or hidden."""


Place = Callable[[], Rect]


def find_window(title: str) -> Place:
    """A function that returns the window's current place, or raises `Gone` once it is closed or hidden.

    Raises:
        UserError: no window or more than one has this title, or this is not built for this system.
    """
    if sys.platform == "win32":
        return find_in(Windows(ctypes.windll.user32), title)  # type: ignore[attr-defined]
    if sys.platform == "darwin":
        raise UserError("--window is not built for macOS; give the window's place with --region left,top,width,height.")
    needs("Xlib")
    return find_in(X11(), title)


def find_in(desktop: X11 | Windows, title: str) -> Place:
    """As `find_window`, on a given desktop."""
    handle = pick(dict(desktop.windows()), title)
    return lambda: desktop.place(handle)


def pick(titles: Mapping[Handle, str], wanted: str) -> Handle:
    """The window with this title, or the only one with it as a part; case does not matter.

    Raises:
        UserError: there is none, or more than one.
    """

    def listed(names: Iterable[str]) -> str:
        quoted = [repr(name) for name in sorted(set(names))]
        return (", ".join(quoted[:SHOWN]) + (" and more" if len(quoted) > SHOWN else "")) or "none"

    low = wanted.lower()
    matches = [handle for handle, title in titles.items() if title.lower() == low]
    matches = matches or [handle for handle, title in titles.items() if low in title.lower()]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise UserError(f"no window has {wanted!r} in its title; there are: {listed(titles.values())}.")
    names = listed(titles[handle] for handle in matches)
    raise UserError(
        f"{len(matches)} windows have {wanted!r} in their title ({names}); give more of it, or use --region."
    )


class X11:
    """The windows of an X server."""

    def __init__(self) -> None:
        from Xlib import display, error

        try:
            self._display = display.Display()
        except (error.DisplayError, error.XauthError, OSError) as failed:
            reason = str(failed)
            raise UserError(f"windows cannot be found ({reason}); run this in a terminal on the desktop.") from failed
        # Otherwise Xlib prints an error for a window that closes meanwhile.
        self._display.set_error_handler(lambda *_: None)
        self._root = self._display.screen().root
        self._name = self._display.intern_atom("_NET_WM_NAME")

    def windows(self) -> Iterator[tuple[Any, str]]:
        """Visible windows with their titles: those that a window manager lists, without the frames it puts around them.

        Without a window manager, all windows.
        """
        listed = self._root.get_full_property(self._display.intern_atom("_NET_CLIENT_LIST"), 0)
        managed = [self._display.create_resource_object("window", n) for n in listed.value] if listed else []
        for window in managed or self._below(self._root):
            with _passing_over():
                title = self._title(window)
                if title and self._shown(window):
                    yield window, title

    def place(self, window: Any) -> Rect:
        """The place of a window."""
        with _passing_over():
            shown, size = self._shown(window), window.get_geometry()
            corner = self._root.translate_coords(window, 0, 0)
            if shown:
                return Rect(corner.x, corner.y, size.width, size.height)
        raise Gone

    def _below(self, window: Any) -> Iterator[Any]:
        with _passing_over():
            for child in window.query_tree().children:
                yield child
                yield from self._below(child)

    def _shown(self, window: Any) -> bool:
        return window.get_attributes().map_state == 2  # IsViewable: it and all its ancestors are mapped

    def _title(self, window: Any) -> str:
        value = window.get_full_property(self._name, 0)
        title = value.value if value else window.get_wm_name()
        return title.decode("utf-8", "replace") if isinstance(title, bytes) else title or ""


@contextlib.contextmanager
def _passing_over() -> Iterator[None]:
    """Ignores Xlib's errors about a window that has just closed.

    Raises:
        OSError: the connection to the X server is lost.
    """
    from Xlib import error

    try:
        yield
    except (error.BadWindow, error.BadDrawable):
        pass
    except error.ConnectionClosedError as closed:
        raise OSError(str(closed)) from closed


class Windows:
    """The windows of Microsoft Windows, in true pixels once mss is open (it makes the process DPI aware)."""

    def __init__(self, user32: Any) -> None:
        self._user32 = user32
        for name in ("GetTopWindow", "GetWindow"):
            getattr(user32, name).restype = ctypes.c_void_p  # handles are as wide as pointers

    def windows(self) -> Iterator[tuple[int, str]]:
        """Visible windows with their titles."""
        handle = self._user32.GetTopWindow(None)
        while handle:
            pointer = ctypes.c_void_p(handle)
            text = ctypes.create_unicode_buffer(512)
            self._user32.GetWindowTextW(pointer, text, len(text))
            if text.value and self._user32.IsWindowVisible(pointer):
                yield handle, text.value
            handle = self._user32.GetWindow(pointer, NEXT)

    def place(self, handle: int) -> Rect:
        """The inside of a window, without its frame."""
        pointer, edges, corner = ctypes.c_void_p(handle), (ctypes.c_long * 4)(), (ctypes.c_long * 2)()
        shown = self._user32.IsWindowVisible(pointer) and not self._user32.IsIconic(pointer)
        if not (shown and self._user32.GetClientRect(pointer, ctypes.byref(edges))):
            raise Gone
        self._user32.ClientToScreen(pointer, ctypes.byref(corner))
        return Rect(corner[0], corner[1], edges[2], edges[3])
