"""How near two pictures lie in a member's features: metrics, and weights of features from the parents' own labels.

Not a plugin: evaluators share it. No picture of the target and no label of a test picture enters.
"""

from __future__ import annotations

from composer_geometry.known import Known, known_of
from composer_geometry.transform import transform_of

__all__ = ["Known", "known_of", "transform_of"]
