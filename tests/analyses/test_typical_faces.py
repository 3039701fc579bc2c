import numpy as np

import rbcore as rb
from rbcore.analyses import first_faces, typical_faces
from rbcore.runs.checkpoints import find_run


def test_the_first_faces_give_the_stored_distances_and_are_nearest_to_the_median():
    run = find_run("toyfaces", "small_cnn")
    rows = rb.stored_distances(run, "last", "deepfool").rows
    found = typical_faces(run, rows, "lighting", "deepfool", n=1)
    assert list(found) == ["bright", "dim"]
    drawn = set(first_faces("toyfaces").samples["sample_id"])
    for group, faces in found.items():
        own = rows[(rows["lighting"] == group) & rows["distance"].notna()]
        median = np.median(own["distance"])
        near = own[own["sample_id"].isin(drawn)]
        best = near.iloc[int((near["distance"] - median).abs().argmin())]
        (sample,) = faces.table["sample_id"]
        assert sample == best["sample_id"]
        moved = np.linalg.norm((faces.perturbed - faces.clean).ravel().astype(np.float64))
        np.testing.assert_allclose(moved, best["distance"], rtol=1e-3)
