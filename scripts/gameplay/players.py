"""Players choose keys from pictures: an agent's model, and players without a model to compare it with."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from scripts.gameplay.answer import SLOTS, Actions, AnswerError, from_text, question
from scripts.gameplay.keys import Held
from scripts.model.viewer import Viewer

EXECUTED = 3  # slots of an answer that are played before the next decision
PERIOD = 0.3  # seconds that these last


class Player(Protocol):
    """Chooses the keys of the next slots from a picture, uint8 [h, w, 3] in RGB order, and a goal."""

    def decide(self, picture: np.ndarray, goal: str) -> Actions: ...


class Agent:
    """A model that was trained to play.

    Args:
        viewer: the model, open.
        size: width and height in pixels of the pictures it was trained with.
        temperature: 0 decodes greedily.
        seed: of the sampling at other temperatures.
    """

    def __init__(self, viewer: Viewer, size: tuple[int, int], temperature: float = 0.0, seed: int = 0) -> None:
        self.viewer, self.size = viewer, size
        self.sampling = {"temperature": temperature, "seed": seed} if temperature else {}

    def decide(self, picture: np.ndarray, goal: str) -> Actions:
        """The model's answer.

        Raises:
            AnswerError: it cannot be parsed.
        """
        shown = fitted(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), self.size)
        return from_text(self.viewer.ask(question(goal), [shown], **self.sampling).text)


def fitted(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture [h, w, 3] at the size of training; ``size`` is (width, height)."""
    if picture.shape[1::-1] == size:
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


class Random:
    """Draws one of the key combinations of training for each decision, and holds its keys."""

    def __init__(self, words: Sequence[Held], seed: int) -> None:
        self.words, self.rng = list(words), np.random.default_rng(seed)

    def decide(self, picture: np.ndarray, goal: str) -> Actions:
        """The same random keys in all slots."""
        return (self.words[int(self.rng.integers(len(self.words)))],) * SLOTS


class Constant:
    """Always holds the same keys: the most common of training (majority), or those drawn first (repeat last)."""

    def __init__(self, keys: Held) -> None:
        self.keys = keys

    def decide(self, picture: np.ndarray, goal: str) -> Actions:
        """The same keys in all slots."""
        return (self.keys,) * SLOTS


class Hands:
    """Plays a player's decisions slot by slot, and counts decisions, late ones, and answers that cannot be parsed.

    After an answer that cannot be parsed no key is pressed until the next decision; ``understood`` is then False.
    """

    def __init__(self, player: Player, executed: int = EXECUTED, period: float = PERIOD) -> None:
        self.player, self.executed, self.period = player, executed, period
        self.waiting: deque[Held] = deque()
        self.seconds: list[float] = []
        self.unread = 0
        self.understood = True  # the answer whose slots are being played

    def keys(self, picture: np.ndarray, goal: str) -> Held:
        """The keys of the next slot."""
        if not self.waiting:
            started = time.perf_counter()
            try:
                actions = self.player.decide(picture, goal)
                self.understood = True
            except AnswerError:
                actions = (frozenset(),) * SLOTS
                self.unread, self.understood = self.unread + 1, False
            self.seconds.append(time.perf_counter() - started)
            self.waiting.extend(actions[: self.executed])
        return self.waiting.popleft()

    @property
    def late(self) -> int:
        """Decisions that took longer than the slots they were for."""
        return sum(seconds > self.period for seconds in self.seconds)
