"""The most similar of many sets of words, for baselines that copy their nearest neighbour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BLOCK = 512  # queries compared with all known sets at a time


def nearest_indices(train: Sequence[set[str]], queries: Sequence[set[str]]) -> list[int]:
    """For each query the index of the set in ``train`` with the highest Jaccard similarity, the first of equals."""
    from scipy.sparse import csr_matrix

    vocabulary = {word: number for number, word in enumerate(sorted(set().union(*train)))}

    def matrix(sets: Sequence[set[str]]) -> csr_matrix:
        """[sets, words], 1 where a set has a word."""
        rows = [[vocabulary[word] for word in sorted(words) if word in vocabulary] for words in sets]
        ends = np.cumsum([0, *map(len, rows)])
        columns = np.array([number for row in rows for number in row], dtype=np.int64)
        return csr_matrix((np.ones(len(columns)), columns, ends), shape=(len(sets), len(vocabulary)))

    known, sizes = matrix(train).T.tocsr(), np.array(list(map(len, train)))
    nearest: list[int] = []
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK]
        shared = (matrix(block) @ known).toarray()
        union = np.array(list(map(len, block)))[:, None] + sizes[None, :] - shared
        nearest += np.argmax(shared / np.maximum(union, 1), axis=1).tolist()
    return nearest
