"""Runs in a build: what UMAP and decoupler have numba compile goes into the image, for any CPU.

bin/efnst/program/any_cpu.py uses it.
"""

import os

os.environ |= {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": "/opt/efnst/compiled"}

import decoupler
import numpy as np
import pandas as pd
import scanpy
from anndata import AnnData
from umap import layouts, umap_

functions = umap_.smooth_knn_dist, umap_.compute_membership_strengths  # those of bin/efnst/domains/layout.py
for function in (*functions, layouts._get_optimize_layout_euclidean_single_epoch_fn(parallel=False)):
    function.enable_caching()
values = np.random.default_rng(0).normal(size=(60, 20))
data = AnnData(obsm={"X": values.astype(np.float32)})
scanpy.pp.neighbors(data, use_rep="X", transformer="sklearn")
scanpy.tl.umap(data, min_dist=0.3, maxiter=10)
genes = [f"g{number}" for number in range(20)]
sets = pd.DataFrame({"source": ["a"] * 10 + ["b"] * 10, "target": genes})
decoupler.mt.ulm(pd.DataFrame(values, map(str, range(60)), genes), sets, tmin=3)
