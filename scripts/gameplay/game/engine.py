"""The ViZDoom engine behind an arena: started headless, stepped, read and ended; it leaves no file behind."""

from __future__ import annotations

import contextlib
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scripts.gameplay.game.wad import MAP
from scripts.gameplay.keys import Held
from scripts.gameplay.options import GameOptions
from scripts.lib.cli import UserError

SETTLE = 14  # tics after the start in which the engine does not let the player move yet
VARIABLES = ("POSITION_X", "POSITION_Y", "ANGLE", "PITCH", "VELOCITY_X", "VELOCITY_Y")
STOPPED = ("ViZDoomErrorException", "ViZDoomUnexpectedExitException", "SharedMemoryException", "MessageQueueException")
Box = tuple[int, int, int, int]


class State(NamedTuple):
    """The engine's state: the picture (uint8 [h, w, 3] in RGB order), the values of `VARIABLES`, the class names of the
    objects that exist, and the boxes of those in view."""

    picture: np.ndarray
    variables: list[float]
    present: set[str]
    boxes: dict[str, Box]


class Engine:
    """One map, played from its start. The same arguments and steps give the same pictures."""

    def __init__(self, options: GameOptions, wad: bytes, seed: int, *, sight: bool) -> None:
        """Starts the engine; during that the working folder is a temporary one, because the engine writes files there.

        Raises:
            UserError: ViZDoom is missing, or does not start.
        """
        try:
            import vizdoom
        except ImportError as error:
            raise UserError(f"ViZDoom cannot be loaded ({error}); install it: pip install -r envs/demo.txt.") from error
        self._vizdoom, self._keys = vizdoom, options.keys.model_dump()
        self._scratch = tempfile.TemporaryDirectory(prefix="questline-game-")
        folder = Path(self._scratch.name)
        (folder / "map.wad").write_bytes(wad)
        self._game = self._configured(options, folder, seed, sight)
        try:
            with self._guarded(), interruptible(), contextlib.chdir(folder):
                self._game.init()
            self.advance(frozenset(), SETTLE)
        except BaseException:
            self.close()
            raise

    def advance(self, keys: Held, tics: int) -> None:
        """Plays so many of the engine's tics (35 a second) with these keys held down."""
        with self._guarded():
            self._game.make_action([key in keys for key in self._keys], tics)

    def state(self) -> State:
        """The current state."""
        with self._guarded():
            state = self._game.get_state()
        variables = [round(float(value), 3) for value in state.game_variables]
        boxes = {
            label.object_name: (label.x, label.y, label.x + label.width, label.y + label.height)
            for label in state.labels or []
        }
        return State(state.screen_buffer.copy(), variables, {thing.name for thing in state.objects}, boxes)

    def close(self) -> None:
        """Ends the engine and removes its files."""
        with interruptible():
            self._game.close()
        self._scratch.cleanup()

    def _configured(self, options: GameOptions, folder: Path, seed: int, sight: bool) -> Any:
        vizdoom = self._vizdoom
        game = vizdoom.DoomGame()
        game.set_doom_game_path(str(Path(vizdoom.__file__).with_name("freedoom2.wad")))
        game.set_doom_scenario_path(str(folder / "map.wad"))
        game.set_doom_config_path(str(folder / "engine.ini"))
        game.set_doom_map(MAP)
        game.set_screen_resolution(getattr(vizdoom.ScreenResolution, f"RES_{options.resolution.upper()}"))
        game.set_screen_format(vizdoom.ScreenFormat.RGB24)
        game.set_mode(vizdoom.Mode.PLAYER)
        game.set_seed(seed)
        for off in ("window_visible", "sound_enabled", "render_hud", "render_weapon", "render_crosshair"):
            getattr(game, f"set_{off}")(False)
        game.set_labels_buffer_enabled(sight)
        game.set_objects_info_enabled(True)
        game.set_episode_timeout(0)
        game.set_available_buttons([getattr(vizdoom.Button, name) for name in self._keys.values()])
        game.set_available_game_variables([getattr(vizdoom.GameVariable, name) for name in VARIABLES])
        game.add_game_args("+set con_scaletext 1")  # words in the picture grow with it
        return game

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except tuple(getattr(self._vizdoom, name) for name in STOPPED) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise UserError(f"the ViZDoom engine stopped ({reason}); run this again, with more free memory.") from error


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Keeps Python's handler of Ctrl+C: the engine replaces it, crashes on it, and at its end leaves it disabled."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, signals = signal.getsignal(signal.SIGINT), {signal.SIGINT}
    masks = hasattr(signal, "pthread_sigmask")
    if masks:  # the engine's process inherits the mask; it gets the terminal's Ctrl+C too
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        if before is not None:  # None: the handler was not set by Python
            signal.signal(signal.SIGINT, before)
        if masks:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
