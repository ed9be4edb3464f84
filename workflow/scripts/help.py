"""Tell the targets and what they make."""

import sys

from hypermix.steps.targets import targets_text

sys.stdout.write(targets_text(snakemake.params.rules))
