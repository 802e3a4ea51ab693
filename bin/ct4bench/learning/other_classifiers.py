"""Other classifiers of scikit-learn, to ask whether the ranking of features depends on the MLP."""

# code-data: ct4bench/learning/other_classifiers.csv

import csv
from pathlib import Path

import numpy as np

with open(Path(__file__).with_suffix(".csv"), encoding="utf-8", newline="") as _stream:
    CLASSIFIERS = {row["name"]: row["settings"] for row in csv.DictReader(_stream)}
"""Name and settings of each, which the workflow and the docs read as well."""


def build(classifier: str, seed: int):
    """Build the estimator of that name."""
    if classifier == "logistic_regression":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000)
    if classifier == "svm":
        from sklearn.svm import SVC

        return SVC(C=1.0, kernel="rbf", gamma="auto", class_weight="balanced")
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.15,
        max_leaf_nodes=8,
        class_weight="balanced",
        early_stopping=False,
        random_state=seed,
    )


def fit_and_predict(
    classifier: str, training: np.ndarray, targets: np.ndarray, test: np.ndarray, n_classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the class numbers and probabilities (rows, classes) of the test rows; probabilities are blank for the SVM.

    training, test: standardised features (rows, features); targets: class numbers of the training rows.
    """
    from threadpoolctl import threadpool_limits

    probabilities = np.full((len(test), n_classes), np.nan)
    # Trainings are what runs side by side; threads inside them would wait for each other. The limit is this thread's.
    with threadpool_limits(1):
        estimator = build(classifier, seed).fit(training, targets)
        if hasattr(estimator, "predict_proba"):
            probabilities[:, estimator.classes_] = estimator.predict_proba(test)
        return estimator.predict(test), probabilities
