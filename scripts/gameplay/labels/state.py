"""Labels from the game itself: the goal that most frames of a segment were played towards."""

from __future__ import annotations

from collections import Counter

from scripts.gameplay.labels.labeller import LabelError, Scene, goal_of


class State:
    """Reads ``goal`` of the rows that the game's recorder wrote beside the frames."""

    def label(self, scene: Scene) -> str:
        """The commonest goal of the segment's frames, of equals the first.

        Raises:
            LabelError: the game said of no frame what its goal was.
        """
        goals = Counter(row["goal"] for row in scene.objects if row.get("goal"))
        if not goals:
            raise LabelError("no frame has a goal of the game; label by vlm, openai or file")
        return goal_of(goals.most_common(1)[0][0])
