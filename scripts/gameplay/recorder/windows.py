"""Finds a window by its title and says where it is: through X11, or through Windows' own user32."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    """A function that says where the window is now (it may be moved), and raises `Gone` once it is closed or hidden.

    Raises:
        UserError: no window or more than one has this title, or this system offers no way to ask.
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
    """The window with this title, or the only one that has it as a part; capitals do not matter.

    Raises:
        UserError: there is none, or more than one.
    """
    low = wanted.lower()
    found = [handle for handle, title in titles.items() if title.lower() == low]
    found = found or [handle for handle, title in titles.items() if low in title.lower()]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(f"no window has {wanted!r} in its title; there are: {listed(list(titles.values()))}.")
    names = listed([titles[handle] for handle in found])
    raise UserError(f"{len(found)} windows have {wanted!r} in their title ({names}); give more of it, or use --region.")


def listed(titles: Sequence[str]) -> str:
    """Titles for an error message."""
    names = [repr(title) for title in sorted(set(titles))]
    return ", ".join(names[:SHOWN]) + (" and more" if len(names) > SHOWN else "") if names else "none"


class X11:
    """The windows of an X server."""

    def __init__(self) -> None:
        from Xlib import display, error

        try:
            self._display = display.Display()
        except (error.DisplayError, error.XauthError, OSError) as failed:
            reason = str(failed)
            raise UserError(f"windows cannot be found ({reason}); run this in a terminal on the desktop.") from failed
        self._display.set_error_handler(lambda *_: None)  # a window that closes meanwhile; Xlib would print it
        self._root = self._display.screen().root
        self._name = self._display.intern_atom("_NET_WM_NAME")

    def windows(self) -> Iterator[tuple[Any, str]]:
        """Visible windows with their titles."""
        for window in self._managed() or self._below(self._root):
            with _passing_over():
                title = self._title(window)
                if title and self._shown(window):
                    yield window, title

    def place(self, window: Any) -> Rect:
        """Where a window is."""
        with _passing_over():
            shown, size = self._shown(window), window.get_geometry()
            corner = self._root.translate_coords(window, 0, 0)
            if shown:
                return Rect(corner.x, corner.y, size.width, size.height)
        raise Gone

    def _managed(self) -> list[Any]:
        """The windows that a window manager lists, without the frames that it puts around them; none without one."""
        found = self._root.get_full_property(self._display.intern_atom("_NET_CLIENT_LIST"), 0)
        return [self._display.create_resource_object("window", number) for number in found.value] if found else []

    def _below(self, window: Any) -> Iterator[Any]:
        with _passing_over():
            for child in window.query_tree().children:
                yield child
                yield from self._below(child)

    def _shown(self, window: Any) -> bool:
        return window.get_attributes().map_state == 2  # viewable: it and all that it lies in are mapped

    def _title(self, window: Any) -> str:
        value = window.get_full_property(self._name, 0)
        title = value.value if value else window.get_wm_name()
        return title.decode("utf-8", "replace") if isinstance(title, bytes) else title or ""


@contextlib.contextmanager
def _passing_over() -> Iterator[None]:
    """Passes over what Xlib raises about a window that closed a moment ago.

    Raises:
        OSError: the X server has gone.
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
            one = ctypes.c_void_p(handle)
            text = ctypes.create_unicode_buffer(512)
            self._user32.GetWindowTextW(one, text, len(text))
            if text.value and self._user32.IsWindowVisible(one):
                yield handle, text.value
            handle = self._user32.GetWindow(one, NEXT)

    def place(self, handle: int) -> Rect:
        """Where the inside of a window is, without its frame."""
        one, edges, corner = ctypes.c_void_p(handle), (ctypes.c_long * 4)(), (ctypes.c_long * 2)()
        there = self._user32.IsWindowVisible(one) and not self._user32.IsIconic(one)
        if not (there and self._user32.GetClientRect(one, ctypes.byref(edges))):
            raise Gone
        self._user32.ClientToScreen(one, ctypes.byref(corner))
        return Rect(corner[0], corner[1], edges[2], edges[3])
