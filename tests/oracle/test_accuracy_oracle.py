import numpy as np
import pandas as pd
from learning_data import keys_table
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix
from sklearn.model_selection import KFold

from ct4bench.learning import accuracy
from ct4bench.splits import splits


def test_accuracies_are_those_of_scikit_learn(rng):
    target = rng.choice(["cyst", "hemangioma", "metastasis", "normal"], 500, p=[0.4, 0.3, 0.2, 0.1])
    predicted = np.where(rng.random(500) < 0.6, target, rng.choice(["cyst", "normal"], 500))
    rows = pd.DataFrame({"target": target, "predicted": predicted, "fold": rng.choice(["1", "2", "3"], 500)})
    key = {
        "task": "tissue",
        "extractor": "x",
        "classifier": "mlp",
        "ablation": "default",
        "scheme": "kfold",
        "n_train": 2,
    }
    rows = rows.assign(**key, scanner="A1")
    for _, fold in accuracy.fold_accuracies(rows).iterrows():
        own = rows[rows["fold"] == fold["fold"]]
        assert np.isclose(fold["accuracy"], accuracy_score(own["target"], own["predicted"]))
        assert np.isclose(fold["balanced_accuracy"], balanced_accuracy_score(own["target"], own["predicted"]))
    found = accuracy.confusion(rows)["n"].to_numpy().reshape(4, 4)
    np.testing.assert_array_equal(found, confusion_matrix(target, predicted))


def test_row_folds_are_those_of_kfold_over_the_sorted_rows():
    keys = splits.sorted_keys(keys_table(patches=2))
    table = splits.as_table(
        splits.kfold_lines(keys.sample(frac=1, random_state=0).pipe(splits.sorted_keys), "scanner", 0, False, "row")
    )
    found = {(s.n_train, s.fold): s.test for s in splits.resolve(table, keys)}
    for fold, (_, test) in enumerate(KFold(10, shuffle=True, random_state=42).split(keys), 1):
        np.testing.assert_array_equal(found[9, str(fold)], test)
