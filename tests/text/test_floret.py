"""floret's tables, against vectors that floret itself has computed."""

from pathlib import Path

import numpy as np
import pytest

from tidegate.text import vectors
from tidegate.text.floret import Header

# floret 0.10.5: train_unsupervised(mode="floret", bucket=8, dim=2, minn=3, maxn=4, hashCount=2).save_floret_vectors
