"""Labels from the game itself: the goal that most frames of a segment were played towards."""

from __future__ import annotations

from collections import Counter

from scripts.gameplay.labels.labeller import LabelError, Scene, goal_of


class State:
    """Takes ``goal`` from the rows that the game's recorder wrote beside the frames."""

    def label(self, scene: Scene) -> str:
        """The most common goal of the segment's frames; of equally common ones the first.

        Raises:
            LabelError: no frame has a goal.
        """
        goals = Counter(row["goal"] for row in scene.objects if row.get("goal"))
        if not goals:
            raise LabelError("no frame has a goal of the game; label by vlm, openai or file")
        return goal_of(goals.most_common(1)[0][0])
