"""The studies by name."""

from kochi.studies.cost import Cost
from kochi.studies.focus import Focus
from kochi.studies.hard import Hard
from kochi.studies.local import Local
from kochi.studies.long_speech import LongSpeech
from kochi.studies.mechanisms import Mechanisms
from kochi.studies.parallel import Parallel
from kochi.studies.sparse import Sparse
from kochi.studies.study import Study

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Focus(),
        Cost(),
        Parallel(),
        Mechanisms(),
        Hard(),
        Local(),
        LongSpeech(),
        Sparse(),
    )
}
