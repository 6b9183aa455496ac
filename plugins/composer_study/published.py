"""The study's three tables, as printed: 27 of the 3,498 generated networks, picked with the test labels.

Figures of the study 'Generating Machine Learning Models Using Machine Learning Models' (A. Patel and K. Jain, San José
State University, 2024, pages 14 to 16), which it gives with two to four digits, some rounded and some cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NEGATIVES = 55
POSITIVES = 34
"""Black cats, and others, among the 89 test pictures."""


@dataclass(frozen=True)
class Row:
    """One row: the network, the whole numbers that the figures follow from, and the figures.

    printed: Accuracy, Precision, Recall, Entropy and Purity as the study calls them; in the field's words accuracy,
    recall, precision, class entropy and class purity.
    """

    model: str
    true_positives: int
    false_positives: int
    printed: tuple[str, str, str, str, str]


def agrees(values: Sequence[float], printed: Sequence[str]) -> bool:
    """Whether every figure agrees to the printed digits, be they rounded or cut off."""
    return all(
        abs(value - float(text)) < 10.0 ** -len(text.partition(".")[2])
        for value, text in zip(values, printed, strict=True)
    )


def _rows(text: str) -> tuple[Row, ...]:
    rows = []
    for line in text.strip().splitlines():
        number, domain, true_positives, false_positives, *printed = line.split()
        accuracy, recall, precision, entropy, purity = printed
        figures = (accuracy, recall, precision, entropy, purity)
        rows.append(Row(f"{number} {domain}", int(true_positives), int(false_positives), figures))
    return tuple(rows)


KMEANS = _rows("""
 229 A  29  6  0.876   0.852   0.828   0.537   0.876
1486 A  28  5  0.876   0.823   0.848   0.528   0.876
1234 A  31 11  0.842   0.911   0.738   0.61    0.842
1330 A  25  5  0.842   0.735   0.833   0.59    0.842
1304 A  29 11  0.82    0.852   0.725   0.672   0.82
1314 A  32 14  0.82    0.9411  0.695   0.629   0.82
 226 A  20  3  0.808   0.588   0.869   0.562   0.809
 307 A  19  3  0.797   0.558   0.863   0.566   0.797
 229 B  28 12  0.797   0.823   0.7     0.724   0.797
 478 B  20  4  0.797   0.588   0.833   0.605   0.797
 805 B  26 10  0.797   0.764   0.722   0.723   0.797
1291 B  23  7  0.797   0.676   0.766   0.686   0.797
1205 A  21  6  0.786   0.617   0.777   0.673   0.786
1567 A  21  6  0.786   0.617   0.777   0.673   0.786
 311 B  22  7  0.786   0.647   0.758   0.697   0.786
 253 A  24 10  0.775   0.705   0.705   0.756   0.775
1215 B  30 17  0.764   0.882   0.638   0.75    0.764
1278 A  31 19  0.752   0.911   0.62    0.739   0.752
1703 A  24 12  0.752   0.705   0.666   0.801   0.752
 214 A  23 12  0.741   0.676   0.657   0.814   0.741
 959 A  18  7  0.741   0.529   0.72    0.72    0.741
 282 B  27 16  0.741   0.794   0.627   0.817   0.741
1470 A  25 15  0.73    0.735   0.625   0.84    0.73
1507 A  27 17  0.73    0.794   0.613   0.831   0.73
1311 A  28 21  0.696   0.823   0.571   0.849   0.696
1337 A  31 24  0.696   0.911   0.563   0.775   0.696
1540 B  25 26  0.606   0.735   0.49    0.935   0.606
""")

ONE_CLASS_SVM = _rows("""
1304 A  30 12  0.82    0.882   0.714   0.667   0.82
1314 A  29 16  0.764   0.852   0.644   0.767   0.764
 229 A  31 19  0.752   0.911   0.62    0.739   0.752
1337 A  32 21  0.741   0.941   0.603   0.716   0.741
1486 A  32 21  0.741   0.941   0.603   0.716   0.741
1234 A  31 21  0.73    0.911   0.596   0.757   0.73
1278 A  31 21  0.73    0.911   0.596   0.757   0.73
1507 A  32 23  0.719   0.9411  0.581   0.729   0.719
1205 A  31 23  0.707   0.911   0.574   0.7704  0.707
 282 B  31 25  0.685   0.911   0.553   0.778   0.685
1291 B  31 25  0.685   0.911   0.553   0.778   0.685
1311 A  31 29  0.64    0.911   0.516   0.781   0.674
 253 A  31 30  0.629   0.911   0.508   0.778   0.685
 805 B  32 34  0.5955  0.9411  0.484   0.716   0.741
1215 B  31 37  0.55    0.911   0.455   0.728   0.764
1703 A  32 42  0.505   0.941   0.432   0.61    0.831
 307 A  32 43  0.494   0.9411  0.426   0.591   0.842
 214 A  31 46  0.449   0.911   0.402   0.561   0.865
 959 A  30 47  0.426   0.882   0.389   0.569   0.865
1540 B  30 47  0.426   0.882   0.389   0.569   0.865
 311 B  31 49  0.415   0.911   0.387   0.471   0.898
 229 B  32 51  0.404   0.941   0.385   0.355   0.932
1470 A  32 53  0.382   0.941   0.376   0.262   0.955
 226 A  30 53  0.359   0.882   0.361   0.338   0.932
1330 A  31 54  0.359   0.911   0.364   0.245   0.955
1567 A  31 54  0.359   0.911   0.364   0.245   0.955
 478 B  31 54  0.359   0.911   0.364   0.245   0.955
""")

DBSCAN = _rows("""
 229 A  29  5  0.887   0.852   0.852   0.501   0.887
1486 A  28  4  0.887   0.823   0.875   0.568   0.876
 282 B  26  4  0.865   0.764   0.866   1.926   0.573
 229 B  24  3  0.853   0.705   0.888   1.281   0.707
1234 A  31 11  0.842   0.911   0.738   0.61    0.842
1330 A  24  4  0.842   0.705   0.857   0.698   0.831
1470 A  22  2  0.842   0.647   0.916   1.5     0.606
1540 B  22  2  0.842   0.647   0.916   1.793   0.483
1314 A  30 11  0.831   0.882   0.731   1.396   0.662
1304 A  29 11  0.82    0.852   0.725   0.794   0.808
 226 A  20  3  0.808   0.588   0.869   0.562   0.809
 478 B  20  4  0.797   0.588   0.833   1.178   0.617
 805 B  26 10  0.797   0.764   0.722   0.723   0.797
 307 A  18  3  0.786   0.529   0.857   0.569   0.786
1567 A  21  6  0.786   0.617   0.777   0.673   0.786
1703 A  23  8  0.786   0.676   0.741   1.268   0.707
 311 B  22  7  0.786   0.647   0.758   1.292   0.528
1291 B  20  5  0.786   0.588   0.8     1.62    0.573
 253 A  24 10  0.775   0.705   0.705   0.756   0.775
1507 A  18  4  0.775   0.529   0.818   1.737   0.5584
 214 A  23 10  0.764   0.676   0.696   0.769   0.764
1205 A  17  5  0.752   0.5     0.772   0.653   0.752
 959 A  18  7  0.741   0.529   0.72    0.781   0.741
1311 A  21 12  0.719   0.617   0.636   1.777   0.539
1337 A  31 24  0.696   0.911   0.563   0.877   0.685
1278 A  23 18  0.674   0.676   0.56    1.818   0.46
1215 B  10 11  0.606   0.294   0.476   2.017   0.449
""")

TABLES: Mapping[str, tuple[Row, ...]] = {"kmeans": KMEANS, "one_class_svm": ONE_CLASS_SVM, "dbscan": DBSCAN}
TITLES = {"kmeans": "K-means", "one_class_svm": "one-class SVM", "dbscan": "DBSCAN"}
MODELS = tuple(row.model for row in KMEANS)
"""The networks of the tables, in the order of the first."""

ODD_ENTROPY = "1304 A"
"""Its K-means entropy is printed as 0.672; its other four figures, and 29 and 11 pictures, give 0.676."""
