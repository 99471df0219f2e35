"""The most alike of many sets of words, for baselines that copy their nearest neighbour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BLOCK = 512  # queries compared with all known sets at a time


def nearest_indices(train: Sequence[set[str]], queries: Sequence[set[str]]) -> list[int]:
    """For each query the index of the set in ``train`` with the highest Jaccard similarity, the first of equals."""
    from scipy.sparse import csr_matrix

    vocabulary = {word: place for place, word in enumerate(sorted(set().union(*train)))}

    def matrix(sets: Sequence[set[str]]) -> csr_matrix:
        rows = [[vocabulary[word] for word in sorted(one) if word in vocabulary] for one in sets]
        ends = np.cumsum([0, *map(len, rows)])
        columns = np.array([place for row in rows for place in row], dtype=np.int64)
        return csr_matrix((np.ones(len(columns)), columns, ends), shape=(len(sets), len(vocabulary)))

    known, sizes = matrix(train).T.tocsr(), np.array([len(one) for one in train])
    found: list[int] = []
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK]
        shared = (matrix(block) @ known).toarray()
        union = np.array([len(one) for one in block])[:, None] + sizes[None, :] - shared
        found += np.argmax(shared / np.maximum(union, 1), axis=1).tolist()
    return found
