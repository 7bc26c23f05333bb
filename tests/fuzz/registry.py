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
HEARD = {"sound": seeds.sound, "pictures": seeds.pictures}
KINDS = {
    "run_files": Kind(run_files.make, 330, TEXT),
    "tables": Kind(tables.make, 220, TEXT),
    "lines": Kind(lines.make, 200, TEXT),
    "manifests": Kind(manifests.make, 130, HEARD),
    "models": Kind(models.make, 370, TEXT | {"answer": models.write_answer}),
    "training_folders": Kind(training_folders.make, 70, {"half_trained": seeds.half_trained}),
    "arrays": Kind(arrays.make, 260, {"features": seeds.features}),
    "sound": Kind(sound.make, 210, {"sound": seeds.sound}),
    "pictures": Kind(pictures.make, 210, {"pictures": seeds.pictures}),
}
CASES = sum(kind.share for kind in KINDS.values())
