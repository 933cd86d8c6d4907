"""What is sent when: due times, and for each the body and the route."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Traffic:
    """Requests in the order in which they are due. Bodies are kept once, however often they are sent.

    Attributes:
        due: Seconds from the start, ascending, shape (requests,).
        bodies: The distinct ones.
        paths: Route of each distinct body.
        postings: Postings in each distinct body.
        places: Which body each request sends, shape (requests,).
        run_id: Request ids are this, a dash and the request's number.
        numbers: Number of each request in the whole run, shape (requests,).
    """

    due: NDArray[np.float64]
    bodies: Sequence[bytes]
    paths: Sequence[str]
    postings: Sequence[int]
    places: NDArray[np.int64]
    run_id: str
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.due)

    def request_ids(self) -> list[str]:
        """One per request."""
        return [f"{self.run_id}-{number}" for number in self.numbers.tolist()]

    def share(self, part: int, parts: int) -> Traffic:
        """Every `parts`-th request, from the `part`-th on: what one of several processes sends."""
        places = self.places[part::parts]
        used, renumbered = np.unique(places, return_inverse=True)
        return Traffic(
            self.due[part::parts],
            [self.bodies[place] for place in used],
            [self.paths[place] for place in used],
            [self.postings[place] for place in used],
            renumbered,
            self.run_id,
            self.numbers[part::parts],
        )
