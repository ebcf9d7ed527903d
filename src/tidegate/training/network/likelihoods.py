"""How probable texts are to a network that is trained to foresee their words."""

from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from tidegate.models.metrics.tokens import TokensReport
from tidegate.sequences.padding import batches
from tidegate.training.data.next_tokens import Running
from tidegate.training.group import ALONE, Group
from tidegate.training.network.modules import NetworkModule
from tidegate.training.network.optimizer import one_torch_thread
from tidegate.training.network.threads import shared_map

_PIECE = 4096  # tokens of the pieces in which long texts are read side by side: one by one they would take long
_SCORES = 1 << 21  # of tokens that are judged together: of a large vocabulary, each has many


@torch.inference_mode()
def judge_texts(module: NetworkModule, texts: Running, group: Group = ALONE) -> TokensReport:
    """Scores a network on texts, which the processes of a group share.

    The state is 0 at the beginning of each piece of a long text too; each token counts once.
    """
    was_training, corpus = module.training, texts.corpus.cut(_PIECE)
    module.eval()
    found, at_once = np.zeros(corpus.offsets[-1], np.float32), max(1, _SCORES // module.head.out_features)
    with one_torch_thread(), shared_map() as shared:
        for batch in batches(corpus.lengths):
            rows = batch[group.rank :: group.size]
            ids, lengths = corpus.padded(rows)
            states, places = module.states(torch.from_numpy(ids), torch.from_numpy(lengths)), corpus.places(rows)
            following = torch.from_numpy(texts.targets[places])
            pieces = torch.split(states, at_once), torch.split(following, at_once)
            found[places] = -np.concatenate(list(shared(partial(_losses, module.head), *pieces)))
    group.sum(found)
    module.train(was_training)
    return texts.report(found)


@torch.inference_mode()
def _losses(head: torch.nn.Module, states: torch.Tensor, following: torch.Tensor) -> npt.NDArray[np.float32]:
    losses: npt.NDArray[np.float32] = torch.nn.functional.cross_entropy(
        head(states), following.long(), reduction="none"
    ).numpy()
    return losses
