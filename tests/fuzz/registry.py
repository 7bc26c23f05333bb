"""All kinds of cases."""

from tests.fuzz.case import Kind
from tests.fuzz.kinds import (
    arrays,
    lines,
    manifests,
    models,
    pictures,
    run_files,
    seeds,
    sound,
    tables,
    training_folders,
)

TEXT = {"text": seeds.text}
FEATURES = {"features": seeds.features}
SOUND = {"sound": seeds.sound}
PICTURES = {"pictures": seeds.pictures}
MODELS = {**TEXT, **FEATURES, **SOUND, **PICTURES, "asked": models.ask}
KINDS = {
    "run_files": Kind(run_files.make, 330, TEXT),
    "tables": Kind(tables.make, 220, TEXT),
    "lines": Kind(lines.make, 200, TEXT),
    "manifests": Kind(manifests.make, 130, SOUND | PICTURES),
    "models": Kind(models.make, 370, MODELS),
    "training_folders": Kind(training_folders.make, 70, {"half_trained": seeds.half_trained}),
    "arrays": Kind(arrays.make, 260, FEATURES),
    "sound": Kind(sound.make, 210, SOUND),
    "pictures": Kind(pictures.make, 210, PICTURES),
}
CASES = sum(kind.share for kind in KINDS.values())
