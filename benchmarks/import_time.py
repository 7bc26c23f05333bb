"""How long does ``import kochi`` take, beside ``import torch``?

Each statement runs in a fresh process, which times it alone. As kochi's parts load when they are
used, a second statement also touches what most programs use first.
"""

import sys

from common import Page, Ratio, measure, read_options, values

DEMANDED = 1.15
STATEMENTS = ("import torch", "import kochi", "import kochi; kochi.attention; kochi.load")
TIMED = """
import time
started = time.perf_counter()
{statement}
print('{{"": {{"milliseconds": %f}}}}' % (1000 * (time.perf_counter() - started)))
"""


def main() -> None:
    options = read_options(__doc__ or "", rounds=10)
    contestants = {
        statement: [sys.executable, "-c", TIMED.format(statement=statement)]
        for statement in STATEMENTS
    }
    found = measure("import-time", contestants, options)
    page = Page("import-time", "Time of `import kochi` beside `import torch`", options)
    page.add_measures(found, "milliseconds", "milliseconds")
    times = [values(found, statement, "milliseconds") for statement in STATEMENTS]
    limits = (DEMANDED, None)
    page.add_ratios(
        [
            Ratio(f"`{statement}` / `{STATEMENTS[0]}`", ours, times[0], at_most=limit)
            for statement, ours, limit in zip(STATEMENTS[1:], times[1:], limits, strict=True)
        ]
    )
    page.write()


if __name__ == "__main__":
    main()
